//! The nouns every room shares: names, sizes, the parsed stack, routes and groups.
//!
//! Pure: no clock, no tokio, no file system. It imports no other room, so that every
//! room may import it.

pub mod disk;
pub mod group;
pub mod memory;
pub mod names;
pub mod observed;
pub mod refusal;
pub mod route;
pub mod service_type;
pub mod settings;
pub mod snapshot;
pub mod stack;

pub use disk::{DiskSpace, DiskState, MemberDisk};
pub use group::{Continuity, CountedWrites, Epoch, GroupStatus, MemberStatus, Receipt, Role, SyncState, Vouched};
pub use memory::Memory;
pub use names::{AppName, InstanceName, NameError, ServiceName};
pub use refusal::Refusal;
pub use route::{Backend, HttpRoute, RouteTable, TcpRoute, TcpState, UdpRoute};
pub use service_type::{DATA_TYPES, PLATFORM_TYPES, RETIRED_TYPES};
pub use snapshot::{SnapshotName, SnapshotNameError};
pub use stack::{PortKind, Processes, ServiceSpec, Stack, port_variable};
