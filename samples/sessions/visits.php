<?php
// Counts the visits of one browser, wherever its session is kept.

/** One more visit, as plain text that a person and a script can read. */
function visit(string $kept): void
{
    session_name(strtoupper($kept));
    session_start();
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
    $visits = $_SESSION['visits'];
    session_write_close();

    $instance = getenv('DOTCLOUD_SERVICE_NAME') . '.' . getenv('DOTCLOUD_SERVICE_ID');
    header('Content-Type: text/plain');
    echo "visit $visits (session in $kept, answered by $instance)\n";
}
