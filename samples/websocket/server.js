'use strict';
// A chat with two rooms. What is said in /memory is passed on by this process to the sockets it
// holds; what is said in /redis goes through Redis to all instances, and from each to its sockets.

const fs = require('fs');
const http = require('http');
const path = require('path');
const { createClient } = require('@redis/client');
const { WebSocketServer } = require('ws');

const INSTANCE = `${process.env.DOTCLOUD_SERVICE_NAME || 'www'}.${process.env.DOTCLOUD_SERVICE_ID || '0'}`;
const CHANNEL = 'chat';
const LONGEST_MESSAGE = 4096;
// "Service restart": the page connects again.
const RESTARTING = 1012;

const rooms = { '/memory': new Set(), '/redis': new Set() };

function tell(room, message) {
  for (const socket of rooms[room]) socket.send(message);
}

// --- Redis: a connection that subscribes can do nothing else, so there are two

function connect() {
  const client = createClient({ url: process.env.DOTCLOUD_BUS_REDIS_URL, socket: { reconnectStrategy: () => 100 } });
  client.on('error', (error) => console.error(`redis: ${error.message}`));
  return client.connect();
}

const publisher = connect();
const listening = connect().then((client) => client.subscribe(CHANNEL, (message) => tell('/redis', message)));

// --- WebSockets

const sockets = new WebSocketServer({ noServer: true, maxPayload: LONGEST_MESSAGE });

function join(socket, room) {
  rooms[room].add(socket);
  socket.send(JSON.stringify({ joined: room, instance: INSTANCE, sockets: rooms[room].size }));
  socket.on('message', (data) => say(socket, room, data.toString()));
  socket.on('close', () => rooms[room].delete(socket));
  socket.on('error', (error) => console.error(`socket: ${error.message}`));
}

async function say(socket, room, text) {
  const message = JSON.stringify({ text, instance: INSTANCE });
  if (room === '/memory') return tell(room, message);
  try {
    await (await publisher).publish(CHANNEL, message);
  } catch (error) {
    socket.send(JSON.stringify({ error: `not passed on: ${error.message}`, instance: INSTANCE }));
  }
}

async function upgrade(request, stream, head) {
  const room = new URL(request.url, 'http://localhost').pathname;
  if (!Object.hasOwn(rooms, room)) return stream.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
  await listening;
  sockets.handleUpgrade(request, stream, head, (socket) => join(socket, room));
}

// --- HTTP: the page

const server = http.createServer((request, response) => {
  if (request.url !== '/') {
    response.writeHead(404, { 'Content-Type': 'text/plain' });
    return response.end('There is a page at /, and WebSockets at /memory and /redis.\n');
  }
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
  fs.createReadStream(path.join(__dirname, 'page.html')).pipe(response);
});
server.on('upgrade', (request, stream, head) => upgrade(request, stream, head).catch((error) => {
  console.error(error);
  stream.destroy();
}));
server.listen(8080);

process.on('SIGTERM', () => {
  for (const socket of sockets.clients) socket.close(RESTARTING);
  server.close(() => process.exit(0));
});
