<?php
// A counter with two ways to add one: a wrong one and a right one.

require __DIR__ . '/database.php';

const LONGEST_SLEEP = 30.0;

// --- what each path does, and which methods it wants

function routes(Database $database): array
{
    $reads = ['GET', 'HEAD'];
    return [
        '/naive' => [fn () => ['value' => $database->incrementNaively(seconds('think_ms') / 1000)], ['POST']],
        '/atomic' => [fn () => ['value' => $database->incrementAtomically()], ['POST']],
        '/reset' => [fn () => reset_counter($database), ['POST']],
        '/slow' => [fn () => slow($database), ['GET', 'HEAD', 'POST']],
        '/value' => [fn () => ['value' => $database->value()], $reads],
        '/arrivals' => [fn () => arrivals($database), $reads],
        '/who' => [fn () => [], $reads],
    ];
}

function reset_counter(Database $database): array
{
    $database->reset();
    return ['value' => 0];
}

/** Takes `s` seconds; as a POST it has added one before it sleeps. */
function slow(Database $database): array
{
    $counted = $_SERVER['REQUEST_METHOD'] === 'POST' ? $database->incrementAtomically() : $database->value();
    usleep((int) (min(seconds('s'), LONGEST_SLEEP) * 1e6));
    return ['value' => $counted];
}

/** How many logged requests came, and which of them came more than once. */
function arrivals(Database $database): array
{
    $counts = $database->arrivals();
    $twice = array_map('strval', array_keys(array_filter($counts, fn (int $count) => $count > 1)));
    sort($twice);
    return ['requests' => count($counts), 'twice' => $twice];
}

function seconds(string $name): float
{
    $value = $_GET[$name] ?? 0;
    return is_numeric($value) ? max((float) $value, 0.0) : 0.0;
}

// --- one request

/** Status and answer. */
function handle(string $path, string $method): array
{
    $database = new Database();
    $routes = routes($database);
    if (!isset($routes[$path])) {
        return [404, ['error' => "there is no $path"]];
    }
    [$action, $methods] = $routes[$path];
    if (!in_array($method, $methods, true)) {
        return [405, ['error' => "$path wants " . implode(' or ', $methods)]];
    }
    try {
        if (!empty($_GET['log']) && !empty($_SERVER['HTTP_X_REQUEST_ID'])) {
            $database->arrived($_SERVER['HTTP_X_REQUEST_ID']);
        }
        return [200, $action()];
    } catch (Unacknowledged $error) {
        return [503, ['error' => "the write may or may not have been done: {$error->getMessage()}"]];
    } catch (Unreadable $error) {
        return [503, ['error' => "the database does not answer: {$error->getMessage()}"]];
    }
}

/** PHP-FPM does not number its workers; the process id tells them apart. */
function who(): array
{
    $instance = getenv('DOTCLOUD_SERVICE_NAME') . '.' . getenv('DOTCLOUD_SERVICE_ID');
    return ['instance' => $instance, 'worker' => getmypid()];
}

header('Cache-Control: no-store');
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/') {
    readfile(__DIR__ . '/page.html');
} else {
    [$status, $answer] = handle((string) $path, $_SERVER['REQUEST_METHOD']);
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($answer + who(), JSON_UNESCAPED_SLASHES), "\n";
}
