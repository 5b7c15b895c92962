//! From the client to the master.

use bytes::Buf;

use super::super::command::Class;
use super::super::request::{Command, Head, Walk};
use super::{Acks, Cut, Expect, INBOX, Mode, RUN_MAX, Session};

/// Whether a command may be sent now.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Granted,
    /// Something has to be answered first.
    Later,
}
use Admission::{Granted, Later};

const NO_REPLICA: &str = "a service whose writes wait for its slaves feeds no others";
const IN_TRANSACTION: &str = "not within a transaction, where writes wait for a slave";
const MONITORS: &str = "a connection that monitors can do nothing else, where writes wait for a slave";

impl Session {
    /// Sends on what may be sent of the inbox.
    ///
    /// # Errors
    /// A command of which the beginning was sent cannot be followed to its end.
    pub fn requests(&mut self, acks: Acks) -> Result<(), Cut> {
        while self.refused.is_none() && self.to_server.len() < INBOX {
            if let Some(walk) = self.walk.take() {
                if !self.go_on(walk, acks)? {
                    break;
                }
                continue;
            }
            match Head::of(&self.inbox) {
                Head::Incomplete => break,
                Head::Empty(length) => self.inbox.advance(length),
                Head::Malformed(why) => self.refuse(why),
                Head::Command(command) => {
                    if self.admit(&command, acks) == Later {
                        break;
                    }
                    self.pass(command.here);
                    self.walk = command.rest;
                    self.ended(acks);
                }
            }
        }
        // Nobody knows when the next command comes.
        if self.run > 0 && self.walk.is_none() && !self.in_multi && !self.skips && self.mode == Mode::InStep {
            self.end_run(acks);
        }
        self.settle(acks);
        Ok(())
    }

    /// More of a command whose beginning was sent; false when all that is here was taken.
    fn go_on(&mut self, mut walk: Walk, acks: Acks) -> Result<bool, Cut> {
        match walk.advance(&self.inbox).map_err(Cut::Request)? {
            0 if !walk.is_over() => {
                self.walk = Some(walk);
                Ok(false)
            }
            here => {
                self.pass(here);
                self.walk = (!walk.is_over()).then_some(walk);
                self.ended(acks);
                Ok(true)
            }
        }
    }

    fn pass(&mut self, length: usize) {
        let bytes = self.inbox.split_to(length);
        self.to_server.extend_from_slice(&bytes);
    }

    /// A command was sent: its last byte may be among what was.
    fn ended(&mut self, acks: Acks) {
        if self.walk.is_none() && std::mem::take(&mut self.ends_run) {
            self.end_run(acks);
        }
    }

    /// The client is told why and served no further.
    fn refuse(&mut self, why: &'static str) {
        self.refused = Some(why);
        self.inbox.clear();
    }

    fn admit(&mut self, command: &Command, acks: Acks) -> Admission {
        match self.mode {
            Mode::InStep if self.in_multi => self.admit_queued(command.class),
            Mode::InStep => self.admit_in_step(command, acks),
            Mode::Subscribed { passes } => self.admit_subscribed(command.class, passes),
            Mode::Fenced | Mode::Resetting => Later,
            Mode::Monitoring => self.admit_monitoring(command.class),
            Mode::Silent => self.admit_silent(command.class),
        }
    }

    fn admit_in_step(&mut self, command: &Command, acks: Acks) -> Admission {
        let class = command.class;
        if std::mem::take(&mut self.skips) {
            return self.admit_skipped(class);
        }
        let simple = matches!(
            class,
            Class::ShortRead | Class::ShortWrite | Class::Read { .. } | Class::Write { .. } | Class::Ping
        );
        let alone = !simple || command.rest.is_some();
        let joins = matches!(class, Class::ShortRead | Class::ShortWrite) && command.rest.is_none();
        if self.run > 0 && (!joins || self.run >= RUN_MAX) {
            self.end_run(acks);
        }
        // Of a client that sends without reading, what is simple is passed on all the same.
        if self.asks() && (alone || self.inbox.len() < INBOX) {
            return Later;
        }
        if !simple {
            return self.admit_special(class);
        }
        self.admit_simple(class, command.rest.is_some());
        Granted
    }

    fn admit_simple(&mut self, class: Class, partial: bool) {
        let (writes, blocks) = match class {
            Class::ShortWrite => (true, false),
            Class::Write { blocking } => (true, blocking),
            Class::Read { blocking } => (false, blocking),
            _ => (false, false),
        };
        self.blocks |= blocks;
        self.woken |= writes && blocks;
        self.expect(if writes { Expect::Hold } else { Expect::Pass });
        self.run += u32::from(writes);
        // What is alone in its run can have a reply of any size.
        self.ends_run = writes && (partial || class != Class::ShortWrite);
    }

    /// What changes how replies belong to commands is sent when all others are answered.
    fn admit_special(&mut self, class: Class) -> Admission {
        match class {
            Class::Forbidden => {
                self.refuse(NO_REPLICA);
                return Later;
            }
            Class::Multi => {
                self.in_multi = true;
                self.expect(Expect::Multi);
                return Granted;
            }
            // Outside of a transaction the server refuses them.
            Class::Exec | Class::Discard | Class::Quit => {
                self.expect(Expect::Pass);
                return Granted;
            }
            _ => {}
        }
        if !self.expected.is_empty() || !self.frames.is_between() {
            return Later;
        }
        if class == Class::Login {
            self.log_in();
            return Granted;
        }
        match self.logged_in {
            None => {
                self.send_mark();
                self.expect(Expect::Probe);
                Later
            }
            // Refused by the server, with one reply.
            Some(false) => {
                self.expect(Expect::Pass);
                Granted
            }
            Some(true) => {
                self.change_mode(class);
                Granted
            }
        }
    }

    /// Sent when nothing else is under way: behind other replies Redis 8 says nothing to a wrong
    /// password.
    fn log_in(&mut self) {
        if self.listened {
            // In another version of the protocol messages may look like replies.
            self.mode = Mode::Subscribed { passes: 0 };
        } else {
            self.logged_in = None;
            self.expect(Expect::Pass);
        }
    }

    fn change_mode(&mut self, class: Class) {
        match class {
            Class::Subscribe => (self.mode, self.listened) = (Mode::Subscribed { passes: 0 }, true),
            Class::Monitor => self.mode = Mode::Monitoring,
            Class::ReplyOff => self.mode = Mode::Silent,
            Class::ReplySkip => self.skips = true,
            Class::Reset => {
                (self.logged_in, self.listened) = (None, false);
                self.expect(Expect::Reset);
            }
            _ => self.expect(Expect::Pass),
        }
    }

    /// The command after `CLIENT REPLY SKIP`.
    fn admit_skipped(&mut self, class: Class) -> Admission {
        match class {
            Class::ShortWrite => self.run += 1,
            Class::Write { blocking } => {
                self.run += 1;
                self.blocks |= blocking;
            }
            Class::Read { blocking } => self.blocks |= blocking,
            Class::ShortRead | Class::Ping => {}
            _ => {
                self.refuse("only data commands may follow CLIENT REPLY SKIP, where writes wait for a slave");
                return Later;
            }
        }
        Granted
    }

    fn admit_queued(&mut self, class: Class) -> Admission {
        match class {
            Class::Exec => {
                self.in_multi = false;
                self.expect(Expect::Hold);
                (self.run, self.ends_run) = (1, true);
            }
            Class::Discard => {
                self.in_multi = false;
                self.expect(Expect::Pass);
            }
            Class::Quit => self.expect(Expect::Pass),
            Class::Subscribe
            | Class::Monitor
            | Class::ReplyOn
            | Class::ReplyOff
            | Class::ReplySkip
            | Class::Forbidden => {
                self.refuse(IN_TRANSACTION);
                return Later;
            }
            Class::Reset => {
                if !self.expected.is_empty() || !self.frames.is_between() {
                    return Later;
                }
                self.in_multi = false;
                (self.logged_in, self.listened) = (None, false);
                self.expect(Expect::Reset);
            }
            _ => self.expect(Expect::Queued),
        }
        Granted
    }

    fn admit_subscribed(&mut self, class: Class, passes: u32) -> Admission {
        match class {
            Class::Subscribe | Class::Ping | Class::Quit | Class::Login => Granted,
            Class::Reset => {
                (self.mode, self.logged_in) = (Mode::Resetting, None);
                Granted
            }
            _ if passes > 0 => {
                self.mode = Mode::Subscribed { passes: passes - 1 };
                Granted
            }
            _ => {
                self.send_mark();
                self.mode = Mode::Fenced;
                Later
            }
        }
    }

    fn admit_monitoring(&mut self, class: Class) -> Admission {
        match class {
            Class::Ping | Class::Quit => Granted,
            Class::Reset => {
                (self.mode, self.logged_in) = (Mode::Resetting, None);
                Granted
            }
            _ => {
                self.refuse(MONITORS);
                Later
            }
        }
    }

    /// Nothing is answered, so that nothing is acknowledged, until replies are switched on again:
    /// that reply then stands for all that was written.
    fn admit_silent(&mut self, class: Class) -> Admission {
        match class {
            Class::ReplyOn if !self.in_multi => {
                self.mode = Mode::InStep;
                self.expect(Expect::Hold);
                (self.run, self.ends_run) = (1, true);
            }
            Class::Multi => self.in_multi = true,
            Class::Exec | Class::Discard => self.in_multi = false,
            Class::Write { blocking: true } => self.woken = true,
            Class::Subscribe | Class::Monitor | Class::Reset | Class::Forbidden | Class::ReplyOn => {
                self.refuse("not while replies are switched off, where writes wait for a slave");
                return Later;
            }
            _ => {}
        }
        Granted
    }
}
