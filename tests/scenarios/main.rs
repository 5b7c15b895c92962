//! Failover as a whole: the machine in seeded scenarios on simulated servers and time, and
//! the driver on real Redis processes.

mod electorate;
mod processes;
mod redis_servers;
mod seeds;
mod servers;
mod simulator;
mod stories;
