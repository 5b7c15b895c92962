//! Whom a fault is meant for: `www`, `www.2`, `db.master`, `db.slave`.

use std::fmt;
use std::str::FromStr;

use crate::model::ServiceName;

/// A service and who of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aim {
    pub service: ServiceName,
    pub place: Place,
}

/// Which instance of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Any that runs; the draw decides.
    Any,
    Number(u32),
    /// Whoever holds the role at that moment.
    Master,
    Slave,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names nobody: write SERVICE, SERVICE.N, SERVICE.master or SERVICE.slave")]
pub struct AimError(String);

impl Aim {
    /// The candidate that a draw means; `None` when there is none.
    pub fn choose<T: Copy>(candidates: &[T], draw: u32) -> Option<T> {
        let count = u32::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
        candidates.get(usize::try_from(draw % count).ok()?).copied()
    }
}

impl FromStr for Aim {
    type Err = AimError;

    fn from_str(text: &str) -> Result<Self, AimError> {
        let wrong = || AimError(text.to_owned());
        let (service, place) = match text.split_once('.') {
            None => (text, Place::Any),
            Some((service, "master")) => (service, Place::Master),
            Some((service, "slave")) => (service, Place::Slave),
            Some((service, number)) if number.bytes().all(|c| c.is_ascii_digit()) => {
                (service, Place::Number(number.parse().map_err(|_| wrong())?))
            }
            Some(_) => return Err(wrong()),
        };
        Ok(Self { service: service.parse().map_err(|_| wrong())?, place })
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = &self.service;
        match self.place {
            Place::Any => write!(f, "{service}"),
            Place::Number(number) => write!(f, "{service}.{number}"),
            Place::Master => write!(f, "{service}.master"),
            Place::Slave => write!(f, "{service}.slave"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_round_trip_and_everything_else_is_refused() {
        for text in ["www", "www.2", "db.master", "db.slave"] {
            assert_eq!(text.parse::<Aim>().unwrap().to_string(), text);
        }
        for text in ["", "www.", "www.x", ".master", "Www", "www.2.3", "www.99999999999", "a b"] {
            assert!(text.parse::<Aim>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_draw_means_somebody_whenever_there_is_somebody() {
        assert_eq!(Aim::choose::<u32>(&[], 5), None);
        assert_eq!([0, 1, 2, u32::MAX].map(|draw| Aim::choose(&[7, 8], draw)), [Some(7), Some(8), Some(7), Some(8)]);
    }
}
