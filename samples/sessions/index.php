<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>sessions</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  button { font: inherit; padding: .4rem .8rem; margin-right: .5rem; }
  pre { background: #8882; padding: 1rem; min-height: 6rem; }
</style>
<h1>How often was I here?</h1>
<p>
  <button data-path="/files.php">10 visits, session in files</button>
  <button data-path="/redis.php">10 visits, session in Redis</button>
</p>
<pre id="log"></pre>
<script>
  const log = document.getElementById("log");
  async function visit(path) {
    log.textContent = "";
    for (let i = 0; i < 10; i++) log.textContent += await (await fetch(path)).text();
  }
  for (const button of document.querySelectorAll("button")) button.onclick = () => visit(button.dataset.path);
</script>
</html>
