import { eq } from 'drizzle-orm';
import { Hono } from 'hono';
import { db, users } from './database.js';
import { logger } from './logger.js';

export const app = new Hono();

app.use('*', async (c, next) => {
  await next();
  c.res.headers.set('X-Lambda-Log-Stream', process.env.AWS_LAMBDA_LOG_STREAM_NAME ?? '');
});

app.get('/users', async (c) => c.json(await db.select().from(users).limit(100)));

app.get('/users/:id', async (c) => {
  const id = parseInt(c.req.param('id'), 10);
  if (Number.isNaN(id)) return c.json({ error: 'Invalid id' }, 400);
  const [user] = await db.select().from(users).where(eq(users.id, id));
  return user ? c.json(user) : c.json({ error: 'Not Found' }, 404);
});

app.post('/users', async (c) => {
  const { name, email } = await c.req.json();
  const [user] = await db.insert(users).values({ name, email }).returning();
  return c.json(user, 201);
});

app.put('/users/:id', async (c) => {
  const id = parseInt(c.req.param('id'), 10);
  const { name } = await c.req.json();
  const [user] = await db.update(users).set({ name }).where(eq(users.id, id)).returning();
  return user ? c.json(user) : c.json({ error: 'Not Found' }, 404);
});

app.delete('/users/:id', async (c) => {
  const id = parseInt(c.req.param('id'), 10);
  const [user] = await db.delete(users).where(eq(users.id, id)).returning();
  return user ? c.json(user) : c.json({ error: 'Not Found' }, 404);
});

app.onError((error, c) => {
  logger.error({ error }, 'unhandled');
  const taken = error.cause?.code === '23505';
  return taken ? c.json({ error: 'email already exists' }, 409) : c.json({ error: 'Error' }, 500);
});
