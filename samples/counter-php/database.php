<?php
// The counter in Redis: how to find it, reach it, and what to do when it goes away.
//
// Reads are repeated once on a new connection. Writes are sent once: when the answer does not
// come, nobody knows whether the write was done, and repeating it might count it twice.

const COUNTER = 'counter';
const ARRIVALS = 'arrivals';

/** A write got no answer: it may have been done or not. */
class Unacknowledged extends Exception
{
}

/** A read got no answer, twice. */
class Unreadable extends Exception
{
}

class Database
{
    private ?Redis $redis = null;

    public function value(): int
    {
        return (int) $this->read(fn (Redis $redis) => $redis->get(COUNTER));
    }

    /** Read, think, write: another worker may have written in between. */
    public function incrementNaively(float $thinkSeconds): int
    {
        $value = $this->value() + 1;
        if ($thinkSeconds > 0) {
            usleep((int) ($thinkSeconds * 1e6));
        }
        $this->write(fn (Redis $redis) => $redis->set(COUNTER, $value));
        return $value;
    }

    public function incrementAtomically(): int
    {
        return $this->write(fn (Redis $redis) => $redis->incr(COUNTER));
    }

    public function reset(): void
    {
        $this->write(fn (Redis $redis) => $redis->del(COUNTER, ARRIVALS));
    }

    /** Counts how often a request reached this application. */
    public function arrived(string $requestId): void
    {
        $this->write(fn (Redis $redis) => $redis->hIncrBy(ARRIVALS, $requestId, 1));
    }

    /** @return array<string, int> */
    public function arrivals(): array
    {
        return array_map('intval', $this->read(fn (Redis $redis) => $redis->hGetAll(ARRIVALS)));
    }

    private function connection(): Redis
    {
        if ($this->redis === null) {
            // The address is the service's stable one, so that a new connection finds the new
            // master after a failover.
            $redis = new Redis();
            $redis->connect(getenv('DOTCLOUD_DB_REDIS_HOST'), (int) getenv('DOTCLOUD_DB_REDIS_PORT'), 5, null, 0, 5);
            $redis->auth(getenv('DOTCLOUD_DB_REDIS_PASSWORD'));
            $this->redis = $redis;
        }
        return $this->redis;
    }

    private function read(callable $command): mixed
    {
        try {
            return $this->answer($command);
        } catch (RedisException) {
            $this->redis = null;
            try {
                return $this->answer($command);
            } catch (RedisException $error) {
                throw new Unreadable($error->getMessage());
            }
        }
    }

    private function write(callable $command): mixed
    {
        try {
            return $this->answer($command);
        } catch (RedisException $error) {
            throw new Unacknowledged($error->getMessage());
        }
    }

    /** The answer of the server. php-redis says `false` for an error that the server answered. */
    private function answer(callable $command): mixed
    {
        $redis = $this->connection();
        $answer = $command($redis);
        if ($redis->getLastError() !== null) {
            throw new RedisException($redis->getLastError());
        }
        return $answer;
    }
}
