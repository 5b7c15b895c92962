'use strict';
// A counter with two ways to add one: a wrong one and a right one.

const fs = require('fs');
const http = require('http');
const path = require('path');
const { Database, Unacknowledged, Unreadable, sleep } = require('./database');

const INSTANCE = `${process.env.DOTCLOUD_SERVICE_NAME || 'www'}.${process.env.DOTCLOUD_SERVICE_ID || '0'}`;
const PAGE = path.join(__dirname, 'page.html');
const LONGEST_SLEEP_MS = 30000;

const database = new Database();

// --- what each path does; `query` holds the first value of every parameter

async function slow(query, method) {
  // Takes `s` seconds; as a POST it has added one before it sleeps.
  const value = method === 'POST' ? await database.incrementAtomically() : await database.value();
  await sleep(Math.min(number(query, 's') * 1000, LONGEST_SLEEP_MS));
  return { value };
}

async function reset() {
  await database.reset();
  return { value: 0 };
}

async function arrivals() {
  // How many logged requests came, and which of them came more than once.
  const counts = Object.entries(await database.arrivals());
  const twice = counts.filter(([, count]) => count > 1).map(([name]) => name).sort();
  return { requests: counts.length, twice };
}

const READ = ['GET', 'HEAD'];
const ROUTES = {
  '/naive': { methods: ['POST'], act: async (query) => ({ value: await database.incrementNaively(number(query, 'think_ms')) }) },
  '/atomic': { methods: ['POST'], act: async () => ({ value: await database.incrementAtomically() }) },
  '/reset': { methods: ['POST'], act: reset },
  '/slow': { methods: [...READ, 'POST'], act: slow },
  '/value': { methods: READ, act: async () => ({ value: await database.value() }) },
  '/arrivals': { methods: READ, act: arrivals },
  '/who': { methods: READ, act: async () => ({}) },
};

function number(query, name) {
  return Math.max(Number(query.get(name)) || 0, 0);
}

/** Status and answer of one request. */
async function handle(request, url) {
  const route = Object.hasOwn(ROUTES, url.pathname) ? ROUTES[url.pathname] : null;
  if (!route) return [404, { error: `there is no ${url.pathname}` }];
  if (!route.methods.includes(request.method)) {
    return [405, { error: `${url.pathname} wants ${route.methods.join(' or ')}` }];
  }
  try {
    const id = request.headers['x-request-id'];
    if (id && url.searchParams.get('log')) await database.arrived(id);
    return [200, await route.act(url.searchParams, request.method)];
  } catch (error) {
    if (error instanceof Unacknowledged) return [503, { error: `the write may or may not have been done: ${error.message}` }];
    if (error instanceof Unreadable) return [503, { error: `the database does not answer: ${error.message}` }];
    throw error;
  }
}

function send(request, response, status, type, body) {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': body.length, 'Cache-Control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/') return send(request, response, 200, 'text/html; charset=utf-8', await fs.promises.readFile(PAGE));
  const [status, answer] = await handle(request, url);
  // One process, one thread: the worker is always the same.
  const body = JSON.stringify({ ...answer, instance: INSTANCE, worker: 1 }) + '\n';
  send(request, response, status, 'application/json', Buffer.from(body));
}

const server = http.createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) send(request, response, 500, 'application/json', Buffer.from('{"error": "see the logs"}\n'));
  });
});
server.listen(8080);

// Requests in progress are finished first.
process.on('SIGTERM', () => server.close(() => process.exit(0)));
