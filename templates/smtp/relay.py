"""Hands mails on to the relay of the build file: only while that is allowed, and only mails that
were received since."""

import smtplib
import ssl
import time

import store

PATIENCE = 30
FIRST_PAUSE = 5
LONGEST_PAUSE = 15 * 60
GIVE_UP = 2 * 24 * 3600


def queued():
    """The state of a mail that is to be handed on."""
    return {"state": "queued", "tries": 0, "next": time.time(), "error": None}


def waiting():
    """(number, envelope) of what is still to be handed on."""
    for number in store.numbers():
        try:
            envelope = store.envelope(number)
        except FileNotFoundError:
            continue
        if (envelope.get("relay") or {}).get("state") == "queued":
            yield number, envelope


def cancel():
    """What waits is kept and no longer handed on; how many mails that were."""
    cancelled = 0
    for number, _ in list(waiting()):
        store.update(number, {"relay": None})
        cancelled += 1
    return cancelled


def work_off(say):
    """Tries every mail whose time has come."""
    for number, envelope in list(waiting()):
        if not store.relay_allowed():
            return
        if envelope["relay"]["next"] <= time.time():
            outcome = _attempt(number, envelope)
            store.update(number, {"relay": outcome})
            say(f"mail {number}: {outcome['state']}" + (f" ({outcome['error']})" if outcome["error"] else ""))


def _attempt(number, envelope):
    relay = {**envelope["relay"], "tries": envelope["relay"]["tries"] + 1, "error": None}
    try:
        _send(store.settings(), envelope["from"], envelope["to"], store.content(number))
        return {**relay, "state": "sent"}
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        relay["error"] = f"{error.smtp_code} {words}"
        final = 500 <= error.smtp_code < 600
    except smtplib.SMTPRecipientsRefused as error:
        relay["error"] = "; ".join(f"{to}: {code} {text.decode(errors='replace')}"
                                   for to, (code, text) in error.recipients.items())
        final = all(500 <= code < 600 for code, _ in error.recipients.values())
    except (OSError, smtplib.SMTPException) as error:
        relay["error"] = str(error) or type(error).__name__
        final = False
    if final or time.time() - envelope["received"] > GIVE_UP:
        return {**relay, "state": "failed"}
    return {**relay, "next": time.time() + min(FIRST_PAUSE * 2 ** (relay["tries"] - 1), LONGEST_PAUSE)}


def _send(settings, sender, recipients, content):
    connect = smtplib.SMTP_SSL if settings["port"] == 465 else smtplib.SMTP
    with connect(settings["server"], settings["port"], timeout=PATIENCE) as client:
        client.ehlo()
        if client.has_extn("starttls"):
            client.starttls(context=ssl.create_default_context())
            client.ehlo()
        if settings["username"]:
            client.login(settings["username"], settings["password"])
        refused = client.sendmail(sender, recipients, content)
    if refused:
        # Some have it: another attempt would give it to them twice.
        code, text = next(iter(refused.values()))
        raise smtplib.SMTPResponseException(550, f"refused for {', '.join(refused)}: {code} {text!r}")
