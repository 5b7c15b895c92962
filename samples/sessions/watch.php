<?php
// A worker: says how many sessions it can see whenever that changes.

function sessions_in_redis(): int
{
    $redis = new Redis();
    $redis->connect(getenv('DOTCLOUD_DB_REDIS_HOST'), (int) getenv('DOTCLOUD_DB_REDIS_PORT'), 5);
    $redis->auth(getenv('DOTCLOUD_DB_REDIS_PASSWORD'));
    // Locks have names of their own.
    return count(array_filter($redis->keys('PHPREDIS_SESSION:*'), fn (string $key) => !str_ends_with($key, '_LOCK')));
}

function sessions_in_files(): int
{
    return count(glob(ini_get('session.save_path') . '/sess_*'));
}

for ($before = null; ; sleep(1)) {
    try {
        $seen = sessions_in_redis() . ' sessions in redis, ' . sessions_in_files() . ' in files';
    } catch (RedisException $error) {
        $seen = 'redis does not answer: ' . $error->getMessage();
    }
    if ($seen !== $before) {
        echo "I see $seen\n";
        $before = $seen;
    }
}
