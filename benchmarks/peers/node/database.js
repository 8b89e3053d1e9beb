// A pool of one connection; each new connection signs a token, which is kept for ten minutes.
import { Signer } from '@aws-sdk/rds-signer';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, timestamp, varchar } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { logger } from './logger.js';

const { DB_HOST, DB_PORT, DB_USER, DB_NAME, AWS_REGION } = process.env;
const port = Number(DB_PORT);
const signer = new Signer({ hostname: DB_HOST, port, username: DB_USER, region: AWS_REGION });

let token = '';
let tokenEnds = 0;

async function password() {
  if (Date.now() > tokenEnds) {
    token = await signer.getAuthToken();
    tokenEnds = Date.now() + 10 * 60 * 1000;
  }
  return token;
}

export const pool = new pg.Pool({
  host: DB_HOST,
  port,
  user: DB_USER,
  database: DB_NAME,
  password,
  ssl: { rejectUnauthorized: true },
  max: 1,
  idleTimeoutMillis: 4 * 60 * 1000,
  connectionTimeoutMillis: 30 * 1000,
});
pool.on('error', (error) => logger.error({ error }, 'connection lost'));

export const users = pgTable('users', {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  name: varchar({ length: 255 }).notNull(),
  email: varchar({ length: 255 }).notNull().unique(),
  createdAt: timestamp('created_at').defaultNow().notNull(),
});

export const db = drizzle({
  client: pool,
  logger: { logQuery: (statement) => logger.info(`query: ${statement}`) },
});
