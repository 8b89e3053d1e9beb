// The strongest that we can imagine: INIT answers a request of its own through the whole app.
import { handle } from 'hono/aws-lambda';
import { app } from './app.js';

export const handler = handle(app);

const path = '/users/1';
await handler(
  {
    version: '2.0',
    rawPath: path,
    rawQueryString: '',
    headers: { host: 'localhost' },
    requestContext: { http: { method: 'GET', path }, domainName: 'localhost' },
    isBase64Encoded: false,
  },
  {},
);
