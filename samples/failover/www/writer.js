'use strict';
// Writes one row after the other, for ever: `writer.js careful|naive <database service>`.
//
// Both ways run the same loop: row n+1 comes after row n was acknowledged, and a row that was not
// is tried again. They differ in what they do with a connection that failed.

const fs = require('fs');
const os = require('os');
const path = require('path');
const { connect } = require('./database');

const [way, database] = process.argv.slice(2);
const NAME = `${process.env.DOTCLOUD_SERVICE_NAME}.${process.env.DOTCLOUD_SERVICE_ID} ${way} ${database}`;
const BOARD = path.join(os.homedir(), 'board', NAME);
// Each start counts from 1 again, under a number of its own: during a push two of a name run.
const RUN = Date.now();
// Between two writes; and after one that failed, since a dead connection fails at once.
const PAUSE_MS = Number(process.env.PAUSE_MS ?? 20);
const RETRY_MS = 50;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether the row was there already: written before, by an attempt that got no answer. */
async function insert(connection, number) {
  // The number is the key, so that writing it twice comes to the same as writing it once.
  // Only that makes it right to try again what may have been done.
  const sql = 'INSERT IGNORE INTO failover.numbers VALUES (?, ?, ?)';
  const [{ affectedRows }] = await connection.query({ sql, timeout: 10000 }, [NAME, RUN, number]);
  return affectedRows === 0;
}

/** One connection, made at the start and kept for ever. Once cut, it stays cut. */
class Naive {
  async write(number) {
    this.connection ??= await connected();
    return insert(this.connection, number);
  }
}

/** A connection that failed is thrown away, and the next attempt makes a new one. */
class Careful {
  async write(number) {
    try {
      this.connection ??= await connected();
      return await insert(this.connection, number);
    } catch (error) {
      this.connection?.destroy();
      this.connection = null;
      throw error;
    }
  }
}

async function connected() {
  const connection = await connect(database);
  // Without a listener the process ends with the connection. (The supervisor would start it
  // again, with a new one: a crude way to reconnect, which forgets everything else.)
  connection.on('error', () => {});
  return connection;
}

/** What this writer was promised. A file, because the database may be what is missing. */
class Account {
  constructor() {
    Object.assign(this, { attempts: 0, acknowledged: 0, found: 0, errors: {}, longest: 0 });
    this.answered = this.saved = performance.now();
  }

  answer(found) {
    this.attempts += 1;
    this.acknowledged += 1;
    this.found += Number(found);
    this.measure();
    this.answered = performance.now();
  }

  failure(error) {
    this.attempts += 1;
    this.errors[error.message] = (this.errors[error.message] || 0) + 1;
    this.measure();
  }

  measure() {
    const now = performance.now();
    this.longest = Math.max(this.longest, now - this.answered);
    if (now - this.saved > 200) {
      this.saved = now;
      this.save();
    }
  }

  save() {
    const { attempts, acknowledged, found, errors, longest } = this;
    const account = {
      writer: NAME, run: RUN, database, attempts, acknowledged, found, errors, longest_outage_ms: Math.round(longest),
    };
    // Renamed when it is complete: whoever reads never sees half of it.
    fs.writeFileSync(`${BOARD}.new`, JSON.stringify(account));
    fs.renameSync(`${BOARD}.new`, `${BOARD}.json`);
  }
}

/** Makes room. A failure ends the writer, and the supervisor tries again. */
async function begin() {
  const connection = await connect(database);
  await connection.query('CREATE DATABASE IF NOT EXISTS failover');
  await connection.query(`CREATE TABLE IF NOT EXISTS failover.numbers
    (writer VARCHAR(60), run BIGINT, number INT, PRIMARY KEY (writer, run, number))`);
  // Row 0 says that this run has begun, before the rows of the former one go.
  await connection.query('INSERT INTO failover.numbers VALUES (?, ?, 0)', [NAME, RUN]);
  await connection.query('DELETE FROM failover.numbers WHERE writer = ? AND run < ?', [NAME, RUN]);
  await connection.end();
}

async function main() {
  await begin();
  const writer = new { careful: Careful, naive: Naive }[way]();
  const account = new Account();
  for (let number = 1; ;) {
    try {
      account.answer(await writer.write(number));
      number += 1;
      await sleep(PAUSE_MS);
    } catch (error) {
      account.failure(error);
      await sleep(RETRY_MS);
    }
  }
}

main();
