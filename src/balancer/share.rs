//! One limit for several chargers: shared out equally among those with a car, and where that is too little for all, the last of the file
//! wait. Pure.

/// A charger that wants a share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asks {
    /// Whether a car is connected; `None`: unknown, which counts as connected.
    pub connected: Option<bool>,
    /// A smaller share is of no use to it, mA.
    pub min_current_ma: u32,
}

/// What each of them gets of `limit_ma`, mA: together never more than that. The only one left gets all of it, however little it is.
pub fn shares(limit_ma: u32, chargers: &[Asks]) -> Vec<u32> {
    let connected = |asks: &Asks| asks.connected != Some(false);
    let anyone = chargers.iter().any(connected);
    let mut takers: Vec<usize> = (0..chargers.len()).filter(|k| !anyone || connected(&chargers[*k])).collect();
    let part = |takers: &[usize]| limit_ma / u32::try_from(takers.len()).unwrap_or(u32::MAX).max(1);
    while takers.len() > 1 && takers.iter().any(|k| chargers[*k].min_current_ma > part(&takers)) {
        takers.pop();
    }
    let part_ma = part(&takers);
    (0..chargers.len()).map(|k| if takers.contains(&k) { part_ma } else { 0 }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    fn asks(connected: Option<bool>) -> Asks {
        Asks { connected, min_current_ma: 6_000 }
    }

    #[test]
    fn equal_parts_for_those_with_a_car() {
        assert_eq!(shares(32_000, &[asks(Some(true)), asks(None)]), [16_000, 16_000]);
        assert_eq!(shares(32_000, &[asks(Some(false)), asks(Some(true))]), [0, 32_000]);
        assert_eq!(shares(32_000, &[asks(Some(false)), asks(Some(false))]), [16_000, 16_000]);
        assert_eq!(shares(5_000, &[asks(None)]), [5_000]);
        assert_eq!(shares(5_000, &[]), [0; 0]);
    }

    #[test]
    fn the_last_of_the_file_wait_where_it_is_too_little() {
        assert_eq!(shares(18_000, &[asks(None); 3]), [6_000; 3]);
        assert_eq!(shares(17_999, &[asks(None); 3]), [8_999, 8_999, 0]);
        assert_eq!(shares(11_000, &[asks(None), asks(Some(false)), asks(None)]), [11_000, 0, 0]);
        assert_eq!(shares(3_000, &[asks(None); 3]), [3_000, 0, 0]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit(limit in any::<u32>(), said in prop::collection::vec((any::<Option<bool>>(), any::<u32>()), 0..8)) {
            let chargers: Vec<_> = said.iter().map(|(connected, min_current_ma)| Asks { connected: *connected, min_current_ma: *min_current_ma }).collect();
            let parts = shares(limit, &chargers);
            assert!(parts.iter().map(|ma| u64::from(*ma)).sum::<u64>() <= u64::from(limit));
            assert_eq!(parts.len(), chargers.len());
        }
    }
}
