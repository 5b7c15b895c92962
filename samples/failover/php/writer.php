<?php
// Writes one row after the other, for ever: `writer.php careful|naive <database service>`.
//
// Both ways run the same loop: row n+1 comes after row n was acknowledged, and a row that was not
// is tried again. They differ in what they do with a connection that failed.
//
// A PHP page forgets its connection after each request and so always gets a new one. This is what
// happens to the long-running kind: workers, daemons, and pages with persistent connections.

define('WAY', $argv[1]);
define('DATABASE', $argv[2]);
define('NAME', getenv('DOTCLOUD_SERVICE_NAME') . '.' . getenv('DOTCLOUD_SERVICE_ID') . ' ' . WAY . ' ' . DATABASE);
define('BOARD', getenv('HOME') . '/board/' . NAME);
// Each start counts from 1 again, under a number of its own: during a push two of a name run.
define('RUN', (int) (microtime(true) * 1000));
// Between two writes; and after one that failed, since a dead connection fails at once.
define('PAUSE_MS', (int) (getenv('PAUSE_MS') === false ? 20 : getenv('PAUSE_MS')));
const RETRY_MS = 50;

function connect(): mysqli
{
    // The service's address stays the same whoever is master. While nobody is, connecting takes
    // as long as that lasts: the platform holds the connection back instead of refusing it.
    $setting = fn (string $key) => getenv('DOTCLOUD_' . strtoupper(DATABASE) . '_MYSQL_' . $key);
    $connection = mysqli_init();
    $connection->options(MYSQLI_OPT_CONNECT_TIMEOUT, 10);
    $connection->options(MYSQLI_OPT_READ_TIMEOUT, 10);
    $connection->real_connect($setting('HOST'), $setting('LOGIN'), $setting('PASSWORD'), null, (int) $setting('PORT'));
    return $connection;
}

/** Whether the row was there already: written before, by an attempt that got no answer. */
function insert(mysqli $connection, int $number): bool
{
    // The number is the key, so that writing it twice comes to the same as writing it once.
    // Only that makes it right to try again what may have been done.
    $connection->query(sprintf("INSERT IGNORE INTO failover.numbers VALUES ('%s', %d, %d)", NAME, RUN, $number));
    return $connection->affected_rows === 0;
}

/** One connection, made at the start and kept for ever. Once cut, it stays cut. */
class Naive
{
    private mysqli $connection;

    public function __construct()
    {
        $this->connection = connect();
    }

    public function write(int $number): bool
    {
        return insert($this->connection, $number);
    }
}

/** A connection that failed is thrown away, and the next attempt makes a new one. */
class Careful
{
    private ?mysqli $connection = null;

    public function write(int $number): bool
    {
        try {
            $this->connection ??= connect();
            return insert($this->connection, $number);
        } catch (mysqli_sql_exception $error) {
            $this->connection = null;
            throw $error;
        }
    }
}

/** What this writer was promised. A file, because the database may be what is missing. */
class Account
{
    private array $account = [
        'writer' => NAME, 'run' => RUN, 'database' => DATABASE, 'attempts' => 0, 'acknowledged' => 0, 'found' => 0,
        'errors' => [], 'longest_outage_ms' => 0,
    ];
    private float $answered;
    private float $saved;

    public function __construct()
    {
        $this->answered = $this->saved = now_ms();
    }

    public function answer(bool $found): void
    {
        $this->account['attempts']++;
        $this->account['acknowledged']++;
        $this->account['found'] += (int) $found;
        $this->measure();
        $this->answered = now_ms();
    }

    public function failure(Exception $error): void
    {
        $this->account['attempts']++;
        $known = $this->account['errors'][$error->getMessage()] ?? 0;
        $this->account['errors'][$error->getMessage()] = $known + 1;
        $this->measure();
    }

    private function measure(): void
    {
        $this->account['longest_outage_ms'] = max($this->account['longest_outage_ms'], round(now_ms() - $this->answered));
        if (now_ms() - $this->saved > 200) {
            $this->saved = now_ms();
            $this->save();
        }
    }

    private function save(): void
    {
        // Renamed when it is complete: whoever reads never sees half of it.
        $account = ['errors' => (object) $this->account['errors']] + $this->account;
        file_put_contents(BOARD . '.new', json_encode($account));
        rename(BOARD . '.new', BOARD . '.json');
    }
}

function now_ms(): float
{
    return hrtime(true) / 1e6;
}

/** Makes room. A failure ends the writer, and the supervisor tries again. */
function begin(): void
{
    $connection = connect();
    $connection->query('CREATE DATABASE IF NOT EXISTS failover');
    $connection->query('CREATE TABLE IF NOT EXISTS failover.numbers
        (writer VARCHAR(60), run BIGINT, number INT, PRIMARY KEY (writer, run, number))');
    // Row 0 says that this run has begun, before the rows of the former one go.
    $connection->query(sprintf("INSERT INTO failover.numbers VALUES ('%s', %d, 0)", NAME, RUN));
    $connection->query(sprintf("DELETE FROM failover.numbers WHERE writer = '%s' AND run < %d", NAME, RUN));
}

begin();
$writer = match (WAY) { 'careful' => new Careful(), 'naive' => new Naive() };
$account = new Account();
for ($number = 1;;) {
    try {
        $account->answer($writer->write($number));
        $number++;
        usleep(PAUSE_MS * 1000);
    } catch (mysqli_sql_exception $error) {
        $account->failure($error);
        usleep(RETRY_MS * 1000);
    }
}
