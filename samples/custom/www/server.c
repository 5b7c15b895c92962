/* An HTTP server in one page of C: answers every request with a line, one after the other. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned long answered;

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static int listen_on(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        perror("listen");
        exit(1);
    }
    return listener;
}

/* Reads to the empty line that ends a request's head; bodies are not asked for. */
static int read_head(int client) {
    char head[8192];
    size_t length = 0;
    while (length < sizeof head - 1) {
        ssize_t more = read(client, head + length, sizeof head - 1 - length);
        if (more <= 0)
            return 0;
        head[length += more] = 0;
        if (strstr(head, "\r\n\r\n"))
            return 1;
    }
    return 0;
}

static void answer(int client) {
    char body[256], reply[512];
    int length = snprintf(body, sizeof body, "%s, instance %s, request %lu\n", setting("GREETING", "Hello"),
                          setting("DOTCLOUD_SERVICE_ID", "?"), ++answered);
    length = snprintf(reply, sizeof reply,
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
                      length, body);
    for (char *rest = reply; length > 0;) {
        ssize_t written = write(client, rest, length);
        if (written <= 0)
            return;
        rest += written;
        length -= written;
    }
}

int main(void) {
    /* The platform chooses the port; it is known only where the service runs. */
    int port = atoi(setting("PORT_WWW", "8080"));
    int listener = listen_on(port);
    struct timeval patience = { .tv_sec = 5 };
    signal(SIGPIPE, SIG_IGN);
    fprintf(stderr, "listening on port %d\n", port);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0)
            continue;
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (read_head(client))
            answer(client);
        close(client);
    }
}
