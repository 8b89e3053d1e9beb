// A client of Lambda's Runtime API for Node.js, which hands events to the handler.
//
// The managed runtime's own (aws-lambda-ric) has a native part that is compiled from curl's
// sources. This one is lighter than it: one socket, no HTTP library. That is to the peers' good.
import net from 'node:net';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const [file, name] = process.env._HANDLER.split('.');
const socket = net.connect({ host, port: Number(port), noDelay: true });
const BREAK = '\r\n\r\n';
let received = Buffer.alloc(0);
let arrived = () => {};
socket.on('data', (chunk) => {
  received = Buffer.concat([received, chunk]);
  arrived();
});
socket.on('close', () => process.exit(0));

async function exchange(method, path, body = '') {
  const length = Buffer.byteLength(body);
  socket.write(
    `${method} /2018-06-01/runtime${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}${BREAK}${body}`,
  );
  for (;;) {
    const end = received.indexOf(BREAK);
    if (end >= 0) {
      const lines = received.toString('latin1', 0, end).split('\r\n').slice(1);
      const headers = Object.fromEntries(
        lines.map((line) => [line.split(':')[0].toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
      );
      const whole = end + BREAK.length + Number(headers['content-length'] ?? 0);
      if (received.length >= whole) {
        const content = received.toString('utf8', end + BREAK.length, whole);
        received = received.subarray(whole);
        return { headers, content };
      }
    }
    await new Promise((resolve) => (arrived = resolve));
  }
}

const { [name]: handler } = await import(`${process.env.LAMBDA_TASK_ROOT}/${file}.js`);
for (;;) {
  const { headers, content } = await exchange('GET', '/invocation/next');
  const id = headers['lambda-runtime-aws-request-id'];
  const ends = Number(headers['lambda-runtime-deadline-ms']);
  const context = { awsRequestId: id, getRemainingTimeInMillis: () => ends - Date.now() };
  try {
    const response = await handler(JSON.parse(content), context);
    await exchange('POST', `/invocation/${id}/response`, JSON.stringify(response));
  } catch (error) {
    const failure = { errorType: error.name, errorMessage: error.message };
    await exchange('POST', `/invocation/${id}/error`, JSON.stringify(failure));
  }
}
