<?php
// PHP's way unless it is told otherwise: a file per session, on the disk of this instance.

require __DIR__ . '/visits.php';

visit('files');
