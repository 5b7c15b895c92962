//! What a client's command means for a front that holds replies to writes back.
//!
//! A command that is not listed counts as a write with a reply of any size: the price of a
//! mistake in that direction is one `WAIT`.

/// What becomes of a command and of its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Writes nothing; the reply may be large.
    Read {
        blocking: bool,
    },
    /// Writes nothing; the reply is short, so that it may wait behind that of a write.
    ShortRead,
    /// May write; the reply is short.
    ShortWrite,
    /// May write; the reply may be large.
    Write {
        blocking: bool,
    },
    Ping,
    /// Who the client is may change.
    Login,
    Multi,
    Exec,
    Discard,
    /// The number of replies is not known beforehand.
    Subscribe,
    /// Everything of the connection is as at its beginning.
    Reset,
    Quit,
    Monitor,
    ReplyOn,
    ReplyOff,
    ReplySkip,
    /// Not for a client of a front.
    Forbidden,
}

/// Names are this long at most; a longer one is unknown.
pub(super) const LONGEST: usize = 24;

/// The class of a command of `argc` words by its first words; `None` stands for a word that is
/// longer than any of interest.
pub(super) fn classify(words: &[Option<&[u8]>], argc: u64) -> Class {
    let mut buffer = [0; LONGEST];
    let Some(name) = words.first().and_then(|word| lower(*word, &mut buffer)) else {
        return Class::Write { blocking: false };
    };
    match name {
        b"client" => client(words, argc),
        b"multi" | b"exec" | b"discard" | b"reset" | b"monitor" if argc != 1 => Class::ShortRead,
        _ => named(name),
    }
}

fn lower<'a>(word: Option<&[u8]>, buffer: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let word = word?;
    let lower = buffer.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    Some(lower)
}

/// `CLIENT REPLY ON|OFF|SKIP`; the other subcommands write nothing.
fn client(words: &[Option<&[u8]>], argc: u64) -> Class {
    let is = |at: usize, name: &[u8]| words.get(at).copied().flatten().is_some_and(|w| w.eq_ignore_ascii_case(name));
    match argc {
        3 if is(1, b"reply") && is(2, b"on") => Class::ReplyOn,
        3 if is(1, b"reply") && is(2, b"off") => Class::ReplyOff,
        3 if is(1, b"reply") && is(2, b"skip") => Class::ReplySkip,
        _ => Class::Read { blocking: false },
    }
}

fn named(name: &[u8]) -> Class {
    match name {
        b"ping" => Class::Ping,
        b"auth" | b"hello" => Class::Login,
        b"multi" => Class::Multi,
        b"exec" => Class::Exec,
        b"discard" => Class::Discard,
        b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe" | b"sunsubscribe" => {
            Class::Subscribe
        }
        b"reset" => Class::Reset,
        b"quit" => Class::Quit,
        b"monitor" => Class::Monitor,
        b"sync" | b"psync" | b"replconf" => Class::Forbidden,
        b"blpop" | b"brpop" | b"blmove" | b"brpoplpush" | b"blmpop" | b"bzmpop" | b"bzpopmin" | b"bzpopmax"
        | b"xreadgroup" => Class::Write { blocking: true },
        b"xread" | b"wait" | b"waitaof" => Class::Read { blocking: true },
        _ if SHORT_READS.contains(&name) => Class::ShortRead,
        _ if READS.contains(&name) => Class::Read { blocking: false },
        _ if SHORT_WRITES.contains(&name) => Class::ShortWrite,
        _ => Class::Write { blocking: false },
    }
}

const SHORT_READS: &[&[u8]] = &[
    b"asking",
    b"bitcount",
    b"bitpos",
    b"dbsize",
    b"exists",
    b"expiretime",
    b"getbit",
    b"hexists",
    b"hlen",
    b"hstrlen",
    b"lastsave",
    b"llen",
    b"pexpiretime",
    b"pfcount",
    b"pttl",
    b"publish",
    b"readonly",
    b"readwrite",
    b"scard",
    b"select",
    b"sismember",
    b"spublish",
    b"strlen",
    b"time",
    b"touch",
    b"ttl",
    b"type",
    b"unwatch",
    b"watch",
    b"xlen",
    b"zcard",
    b"zcount",
    b"zlexcount",
    b"zrank",
    b"zrevrank",
    b"zscore",
];

const READS: &[&[u8]] = &[
    b"acl",
    b"bitfield_ro",
    b"cluster",
    b"command",
    b"config",
    b"dump",
    b"echo",
    b"eval_ro",
    b"evalsha_ro",
    b"fcall_ro",
    b"geodist",
    b"geohash",
    b"geopos",
    b"georadius_ro",
    b"georadiusbymember_ro",
    b"geosearch",
    b"get",
    b"getrange",
    b"hexpiretime",
    b"hget",
    b"hgetall",
    b"hkeys",
    b"hmget",
    b"hpexpiretime",
    b"hpttl",
    b"hrandfield",
    b"hscan",
    b"httl",
    b"hvals",
    b"info",
    b"keys",
    b"latency",
    b"lcs",
    b"lindex",
    b"lolwut",
    b"lpos",
    b"lrange",
    b"memory",
    b"mget",
    b"object",
    b"pubsub",
    b"randomkey",
    b"role",
    b"scan",
    b"script",
    b"sdiff",
    b"sinter",
    b"sintercard",
    b"slowlog",
    b"smembers",
    b"smismember",
    b"sort_ro",
    b"srandmember",
    b"sscan",
    b"substr",
    b"sunion",
    b"xinfo",
    b"xpending",
    b"xrange",
    b"xrevrange",
    b"zdiff",
    b"zinter",
    b"zintercard",
    b"zmscore",
    b"zrandmember",
    b"zrange",
    b"zrangebylex",
    b"zrangebyscore",
    b"zrevrange",
    b"zrevrangebylex",
    b"zrevrangebyscore",
    b"zscan",
    b"zunion",
];

const SHORT_WRITES: &[&[u8]] = &[
    b"append",
    b"bitop",
    b"copy",
    b"decr",
    b"decrby",
    b"del",
    b"expire",
    b"expireat",
    b"flushall",
    b"flushdb",
    b"geoadd",
    b"geosearchstore",
    b"hdel",
    b"hincrby",
    b"hincrbyfloat",
    b"hmset",
    b"hset",
    b"hsetnx",
    b"incr",
    b"incrby",
    b"incrbyfloat",
    b"linsert",
    b"lpush",
    b"lpushx",
    b"lrem",
    b"lset",
    b"ltrim",
    b"move",
    b"mset",
    b"msetnx",
    b"persist",
    b"pexpire",
    b"pexpireat",
    b"pfadd",
    b"pfmerge",
    b"psetex",
    b"rename",
    b"renamenx",
    b"restore",
    b"rpush",
    b"rpushx",
    b"sadd",
    b"sdiffstore",
    b"set",
    b"setbit",
    b"setex",
    b"setnx",
    b"setrange",
    b"sinterstore",
    b"smove",
    b"srem",
    b"sunionstore",
    b"swapdb",
    b"unlink",
    b"xack",
    b"xadd",
    b"xdel",
    b"xtrim",
    b"zadd",
    b"zdiffstore",
    b"zincrby",
    b"zinterstore",
    b"zrangestore",
    b"zrem",
    b"zremrangebylex",
    b"zremrangebyrank",
    b"zremrangebyscore",
    b"zunionstore",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        let words: Vec<Option<&[u8]>> = text.split(' ').map(|word| Some(word.as_bytes())).collect();
        classify(&words, words.len() as u64)
    }

    #[test]
    fn what_is_not_known_counts_as_a_write() {
        for text in ["EVAL", "fcall", "json.set", "georadius", "SORT", "GETDEL", "nonsense", "function", "module"] {
            assert_eq!(class(text), Class::Write { blocking: false }, "{text}");
        }
        assert_eq!(classify(&[None], 2), Class::Write { blocking: false });
    }

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(class("GeT k"), Class::Read { blocking: false });
        assert_eq!(class("Client Reply OFF"), Class::ReplyOff);
        assert_eq!(class("CLIENT LIST"), Class::Read { blocking: false });
        assert_eq!(class("multi"), Class::Multi);
    }

    /// The server refuses these and stays where it is.
    #[test]
    fn a_command_with_words_too_many_changes_nothing() {
        for text in ["EXEC now", "MULTI 1", "RESET all", "MONITOR me"] {
            assert_eq!(class(text), Class::ShortRead, "{text}");
        }
    }
}
