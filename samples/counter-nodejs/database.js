'use strict';
// The counter in Redis: how to find it, reach it, and what to do when it goes away.
//
// Reads are repeated once on a new connection. Writes are sent once: when the answer does not
// come, nobody knows whether the write was done, and repeating it might count it twice.

const { createClient } = require('@redis/client');

const COUNTER = 'counter';
const ARRIVALS = 'arrivals';
const PATIENCE_MS = 5000;

/** A write got no answer: it may have been done or not. */
class Unacknowledged extends Error {}

/** A read got no answer, twice. */
class Unreadable extends Error {}

function connect() {
  // The address is the service's stable one: a new connection finds the new master after a failover.
  const client = createClient({
    socket: {
      host: process.env.DOTCLOUD_DB_REDIS_HOST,
      port: Number(process.env.DOTCLOUD_DB_REDIS_PORT),
      connectTimeout: PATIENCE_MS,
      reconnectStrategy: () => 50,
    },
    password: process.env.DOTCLOUD_DB_REDIS_PASSWORD,
  });
  // Without a listener the process would end with the connection.
  client.on('error', (error) => console.error(`redis: ${error.message}`));
  client.connect();
  return client;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The answer of a command, or its failure when none comes in time. */
function answerOf(command) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([command(), silence]).finally(() => clearTimeout(timer));
}

async function read(command) {
  try {
    return await answerOf(command);
  } catch {
    return answerOf(command).catch((error) => { throw new Unreadable(error.message); });
  }
}

function write(command) {
  return answerOf(command).catch((error) => { throw new Unacknowledged(error.message); });
}

class Database {
  constructor() {
    this.redis = connect();
  }

  async value() {
    return Number(await read(() => this.redis.get(COUNTER)) ?? 0);
  }

  /** Reads, thinks, writes. Each `await` lets other requests of this process run. */
  async incrementNaively(thinkMs) {
    const value = await this.value() + 1;
    if (thinkMs) await sleep(thinkMs);
    await write(() => this.redis.set(COUNTER, value));
    return value;
  }

  incrementAtomically() {
    return write(() => this.redis.incr(COUNTER));
  }

  reset() {
    return write(() => this.redis.del([COUNTER, ARRIVALS]));
  }

  /** Counts how often a request reached this application. */
  arrived(requestId) {
    return write(() => this.redis.hIncrBy(ARRIVALS, requestId, 1));
  }

  /** Request id -> how often it arrived. */
  async arrivals() {
    const counts = await read(() => this.redis.hGetAll(ARRIVALS));
    return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)]));
  }
}

module.exports = { Database, Unacknowledged, Unreadable, sleep };
