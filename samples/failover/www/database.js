'use strict';
// How a database service is found. Its address stays the same whoever is master.

const mysql = require('mysql2/promise');

function connect(service) {
  const setting = (key) => process.env[`DOTCLOUD_${service.toUpperCase()}_MYSQL_${key}`];
  return mysql.createConnection({
    host: setting('HOST'),
    port: Number(setting('PORT')),
    user: setting('LOGIN'),
    password: setting('PASSWORD'),
    // While nobody is master, connecting takes as long as that lasts: the platform holds the
    // connection back instead of refusing it.
    connectTimeout: 10000,
  });
}

module.exports = { connect };
