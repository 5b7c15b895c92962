'use strict';
// Compares what the writers were promised with what the databases hold.

const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { connect } = require('./database');

const BOARD = path.join(os.homedir(), 'board');
const PAGE = path.join(__dirname, 'page.html');
const PATIENCE_MS = 2000;

/** The accounts of all writers, as they keep them themselves. */
function accounts() {
  const files = fs.readdirSync(BOARD).filter((name) => name.endsWith('.json')).sort();
  return files.map((name) => JSON.parse(fs.readFileSync(path.join(BOARD, name))));
}

/** With each account the rows that were acknowledged and are not there; null while nobody can say. */
async function compared(accounts) {
  const databases = [...new Set(accounts.map((account) => account.database))];
  const answers = await Promise.all(databases.map((name) => {
    const asked = accounts.filter((account) => account.database === name);
    return lost(name, asked).catch(() => asked.map(() => null))
      .then((lost) => asked.map((account, at) => ({ ...account, lost: lost[at] })));
  }));
  return answers.flat();
}

async function lost(database, accounts) {
  const connection = await connect(database);
  connection.on('error', () => {});
  try {
    return await Promise.all(accounts.map((account) => missing(connection, account)));
  } finally {
    connection.destroy();
  }
}

async function missing(connection, { writer, run, acknowledged }) {
  // A writer goes on only when a row is acknowledged: rows 1 to `acknowledged` all were. One that was
  // started anew removes the rows of its former run, which are not lost then; its account comes later.
  const sql = `SELECT SUM(run = ? AND number BETWEEN 1 AND ?) AS kept, MAX(run) AS latest
    FROM failover.numbers WHERE writer = ?`;
  const [[{ kept, latest }]] = await connection.query({ sql, timeout: PATIENCE_MS }, [run, acknowledged, writer]);
  return latest > run ? null : acknowledged - kept;
}

async function answer(url) {
  if (url === '/') return ['text/html; charset=utf-8', fs.readFileSync(PAGE)];
  if (url === '/writers') {
    // First what was promised, then what is there: never the other way round.
    return ['application/json', JSON.stringify(await compared(accounts()), null, 1) + '\n'];
  }
  return null;
}

http.createServer(async (request, response) => {
  try {
    const [type, body] = await answer(request.url) ?? ['text/plain', null];
    response.writeHead(body ? 200 : 404, { 'Content-Type': type, 'Cache-Control': 'no-store' });
    response.end(body ?? 'GET / or /writers\n');
  } catch (error) {
    console.error(error);
    response.writeHead(500, { 'Content-Type': 'text/plain' });
    response.end(`${error.message}\n`);
  }
}).listen(8080);
