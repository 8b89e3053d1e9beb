// The same, with the connection made during INIT.
import { handle } from 'hono/aws-lambda';
import { app } from './app.js';
import { pool } from './database.js';

(await pool.connect()).release();

export const handler = handle(app);
