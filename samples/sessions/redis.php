<?php
// The same page; the session is where every instance can find it.

require __DIR__ . '/visits.php';

$address = 'tcp://' . getenv('DOTCLOUD_DB_REDIS_HOST') . ':' . getenv('DOTCLOUD_DB_REDIS_PORT');
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', $address . '?auth=' . rawurlencode(getenv('DOTCLOUD_DB_REDIS_PASSWORD')));
// Files are locked while a request uses them; Redis does it when asked. Without, two requests
// of one browser at once would lose a visit.
ini_set('redis.session.locking_enabled', '1');
ini_set('redis.session.lock_retries', '-1');

visit('redis');
