//! A server that answers as Redis does, as far as it matters here.

/// Where its replies end in what the client gets, and which acknowledge a write.
struct Told {
    end: usize,
    writes: bool,
}

pub struct Server {
    mark: &'static str,
    inbox: Vec<u8>,
    /// Replies on their way.
    pub sending: Vec<u8>,
    /// So many bytes have left, ever.
    pub sent: usize,
    made: usize,
    /// What a client is to get in the end.
    pub for_client: Vec<u8>,
    told: Vec<Told>,
    /// A slave has what was written before: the place of the answer that says so, and how far
    /// the client's replies reach that it is about.
    seconded: Vec<(usize, usize)>,
    /// How often the same question is answered with 0 before it is answered with 1.
    waits: Vec<u8>,
    asked: u8,
    /// What was written last was written for another client: `WAIT` knows nothing of it.
    woken: bool,
    logged_in: bool,
    queue: Option<Vec<Vec<String>>>,
    channels: usize,
    version: u8,
    silent: bool,
    skips: bool,
    skip_this: bool,
}

impl Server {
    pub fn new(mark: &'static str, waits: Vec<u8>) -> Self {
        Self {
            mark,
            inbox: Vec::new(),
            sending: Vec::new(),
            sent: 0,
            made: 0,
            for_client: Vec::new(),
            told: Vec::new(),
            seconded: Vec::new(),
            waits,
            asked: 0,
            woken: false,
            logged_in: false,
            queue: None,
            channels: 0,
            version: 2,
            silent: false,
            skips: false,
            skip_this: false,
        }
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// How many bytes a client may have by now: up to the last byte of the first write of which
    /// no answer that has left says that a slave has it.
    pub fn acknowledgeable(&self) -> usize {
        let left = |(place, _): &&(usize, usize)| *place <= self.sent;
        let safe = self.seconded.iter().filter(left).map(|(_, reach)| *reach).max().unwrap_or(0);
        let open = self.told.iter().find(|told| told.writes && told.end > safe);
        open.map_or(usize::MAX, |told| told.end - 1)
    }

    /// Carries one command out; false when none is complete.
    pub fn work(&mut self) -> bool {
        let Some(words) = self.command() else { return false };
        if words.is_empty() {
            return true;
        }
        self.skip_this = std::mem::take(&mut self.skips);
        let name = words[0].to_ascii_uppercase();
        match name.as_str() {
            "WAIT" if words[1..] == ["1", "100"] => self.wait(),
            "SPUBLISH" => self.publish(),
            "PING" if words.get(1).is_some_and(|word| word == self.mark) => self.ping(self.mark, false),
            _ => self.serve(&name, words),
        }
        true
    }

    fn serve(&mut self, name: &str, words: Vec<String>) {
        let listens = self.channels > 0 && self.version == 2;
        match name {
            "AUTH" if !listens => {
                self.logged_in = true;
                self.say("+OK\r\n".into(), false);
            }
            "RESET" => {
                (self.logged_in, self.queue, self.channels, self.version) = (false, None, 0, 2);
                self.say("+RESET\r\n".into(), false);
            }
            _ if !self.logged_in => self.say("-NOAUTH Authentication required.\r\n".into(), false),
            "SUBSCRIBE" | "UNSUBSCRIBE" => self.subscribe(name, &words[1..]),
            "PING" => self.ping("", true),
            _ if listens => self.say(format!("-ERR Can't execute '{name}' in this context\r\n"), false),
            "EXEC" if self.queue.is_some() => self.exec(),
            "DISCARD" if self.queue.take().is_some() => self.say("+OK\r\n".into(), false),
            _ if self.queue.is_some() => {
                self.queue.as_mut().unwrap().push(words);
                self.say("+QUEUED\r\n".into(), false);
            }
            "CLIENT" => self.reply_mode(&words[2].to_ascii_uppercase()),
            _ => {
                let (reply, writes) = self.run(name, &words);
                self.woken = name == "BLPOP" || self.woken && !writes;
                self.say(reply, writes);
            }
        }
    }

    fn run(&mut self, name: &str, words: &[String]) -> (String, bool) {
        let size = || words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0_usize);
        match name {
            "SET" if words.len() < 3 => ("-ERR wrong number of arguments\r\n".into(), false),
            "SET" => ("+OK\r\n".into(), true),
            "GET" => (format!("${}\r\n{}\r\n", size(), "g".repeat(size())), false),
            "INCR" => (":7\r\n".into(), true),
            "EVAL" => (format!("*2\r\n:1\r\n${}\r\n{}\r\n", size(), "e".repeat(size())), true),
            "BLPOP" => ("*2\r\n$1\r\nl\r\n$1\r\nx\r\n".into(), true),
            "EXISTS" | "WAIT" => (":1\r\n".into(), false),
            "HELLO" => {
                self.version = 3;
                ("%1\r\n+proto\r\n:3\r\n".into(), false)
            }
            "MULTI" => {
                self.queue = Some(Vec::new());
                ("+OK\r\n".into(), false)
            }
            _ => (format!("-ERR unknown command {name}\r\n"), false),
        }
    }

    fn exec(&mut self) {
        let queued = self.queue.take().unwrap_or_default();
        let mut reply = format!("*{}\r\n", queued.len());
        let mut wrote = false;
        for words in queued {
            let (one, writes) = self.run(&words[0].to_ascii_uppercase(), &words);
            reply.push_str(&one);
            wrote |= writes;
        }
        self.woken &= !wrote;
        self.say(reply, wrote);
    }

    fn subscribe(&mut self, name: &str, channels: &[String]) {
        let kind = name.to_ascii_lowercase();
        let leaves = name == "UNSUBSCRIBE";
        for _ in 0..channels.len().max(1) {
            self.channels = if leaves { 0 } else { self.channels + 1 };
            let frame = if self.version == 3 { '>' } else { '*' };
            self.push(format!("{frame}3\r\n${}\r\n{kind}\r\n$1\r\na\r\n:{}\r\n", kind.len(), self.channels));
            if !leaves {
                self.push(format!("{frame}3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"));
            }
        }
    }

    /// To our mark (`told` is false) and to the client's own.
    fn ping(&mut self, text: &str, told: bool) {
        let reply = match (self.channels > 0 && self.version == 2, text) {
            _ if !self.logged_in => "-NOAUTH Authentication required.\r\n".to_owned(),
            (true, _) => format!("*2\r\n$4\r\npong\r\n${}\r\n{text}\r\n", text.len()),
            (false, "") => "+PONG\r\n".to_owned(),
            (false, _) => format!("${}\r\n{text}\r\n", text.len()),
        };
        assert!(told || !(self.silent || self.skip_this || self.queue.is_some()), "the mark is not answered so");
        if told { self.say(reply, false) } else { self.send(reply.as_bytes()) }
    }

    /// Ours too: a write of nothing.
    fn publish(&mut self) {
        assert!(!self.silent && !self.skip_this && self.queue.is_none(), "SPUBLISH at the wrong time");
        self.woken &= !self.logged_in;
        let reply = if self.logged_in { ":0\r\n" } else { "-NOAUTH Authentication required.\r\n" };
        self.send(reply.as_bytes());
    }

    /// Our own question. Where it would not be answered, or queued, it must not be asked.
    fn wait(&mut self) {
        assert!(!self.silent && !self.skip_this && self.queue.is_none(), "WAIT at the wrong time");
        let refusals = self.waits[self.seconded.len() % self.waits.len()];
        if !self.logged_in {
            self.send(b"-NOAUTH Authentication required.\r\n");
        } else if self.woken {
            self.send(b":1\r\n");
        } else if self.asked < refusals {
            self.asked += 1;
            self.send(b":0\r\n");
        } else {
            self.asked = 0;
            self.send(b":1\r\n");
            self.seconded.push((self.made, self.for_client.len()));
        }
    }

    fn reply_mode(&mut self, mode: &str) {
        match mode {
            "OFF" => self.silent = true,
            "SKIP" => self.skips = !self.silent,
            _ => {
                self.silent = false;
                self.say("+OK\r\n".into(), true);
            }
        }
    }

    fn say(&mut self, reply: String, writes: bool) {
        if !self.silent && !self.skip_this {
            self.push(reply);
            self.told.push(Told { end: self.for_client.len(), writes });
        }
    }

    fn push(&mut self, reply: String) {
        self.for_client.extend_from_slice(reply.as_bytes());
        self.send(reply.as_bytes());
    }

    fn send(&mut self, bytes: &[u8]) {
        self.made += bytes.len();
        self.sending.extend_from_slice(bytes);
    }

    /// The next complete command.
    fn command(&mut self) -> Option<Vec<String>> {
        let end = self.inbox.iter().position(|byte| *byte == b'\n')? + 1;
        let line = String::from_utf8(self.inbox[..end].to_vec()).unwrap();
        let Some(count) = line.strip_prefix('*') else {
            self.inbox.drain(..end);
            return Some(line.split_whitespace().map(str::to_owned).collect());
        };
        let (mut at, mut words) = (end, Vec::new());
        for _ in 0..count.trim().parse::<usize>().unwrap() {
            let end = at + self.inbox[at..].iter().position(|byte| *byte == b'\n')? + 1;
            let length: usize = String::from_utf8(self.inbox[at + 1..end].to_vec()).unwrap().trim().parse().unwrap();
            words.push(String::from_utf8(self.inbox.get(end..end + length)?.to_vec()).unwrap());
            at = end + length + 2;
            self.inbox.get(..at)?;
        }
        self.inbox.drain(..at);
        Some(words)
    }
}
