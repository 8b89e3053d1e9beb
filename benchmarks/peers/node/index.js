// As the sample has it: everything is done at the first request.
import { handle } from 'hono/aws-lambda';
import { app } from './app.js';

export const handler = handle(app);
