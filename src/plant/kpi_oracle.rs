//! What batteries that follow the net load at once would have made of the same time, and what the difference costs (control.md 5.2).
//!
//! They have the ratings, capacities, efficiencies and the charge of the real ones, share in proportion to what each could do, and look at
//! all phases together, as the bill does. Integers only, a second at a time. They look at nothing that comes later.

use super::site::Site;

/// Price of a kWh from the grid, and what one brings, ct (control.md 5.2).
pub const IMPORT_CT: i64 = 30;
/// See [`IMPORT_CT`].
pub const EXPORT_CT: i64 = 8;

/// mWs of a mWh.
const MWS_PER_MWH: i64 = 3600;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Store {
    energy_mws: i64,
    capacity_mws: i64,
    floor_mws: i64,
    discharge_mw: i64,
    charge_mw: i64,
    charge_pm: i64,
    discharge_pm: i64,
    standby_mw: i64,
}

/// The batteries, and what the grid had to do beside them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Oracle {
    stores: Vec<Store>,
    /// Import of all phases together, mWs.
    pub import_mws: i64,
    /// Export of all phases together, mWs.
    pub export_mws: i64,
}

impl Oracle {
    /// With the batteries of this site as they are at the moment.
    pub fn of(site: &Site) -> Oracle {
        let store = |k: usize| {
            let battery = site.battery(k)?;
            let params = battery.params();
            let capacity_mws = params.capacity_wh.saturating_mul(1000 * MWS_PER_MWH);
            Some(Store {
                energy_mws: battery.energy_mwh().saturating_mul(MWS_PER_MWH),
                capacity_mws,
                floor_mws: capacity_mws / 1000 * i64::from(params.floor_pm),
                discharge_mw: params.max_discharge_w * 1000,
                charge_mw: params.max_charge_w * 1000,
                charge_pm: i64::from(params.charge_efficiency_pm.max(1)),
                discharge_pm: i64::from(params.discharge_efficiency_pm.max(1)),
                standby_mw: params.standby_mw,
            })
        };
        Oracle { stores: (0..site.batteries()).filter_map(store).collect(), import_mws: 0, export_mws: 0 }
    }

    /// A second in which the house takes this much more than the sun gives, mW.
    pub fn second(&mut self, net_mw: i64) {
        let could: Vec<i64> = self.stores.iter().map(|store| store.could_mw(net_mw > 0)).collect();
        let all: i64 = could.iter().sum();
        let wanted = net_mw.abs().min(all);
        let mut done = 0;
        for (store, could) in self.stores.iter_mut().zip(could) {
            let part = (i128::from(wanted) * i128::from(could) / i128::from(all.max(1))) as i64;
            store.take(if net_mw > 0 { part } else { -part });
            done += part;
        }
        let left = net_mw.abs() - done;
        *if net_mw > 0 { &mut self.import_mws } else { &mut self.export_mws } += left;
    }

    /// What was exchanged with the grid, both ways, mWs.
    pub fn exchanged_mws(&self) -> i64 {
        self.import_mws + self.export_mws
    }

    /// What an import and an export cost more than those of the oracle, in thousandths of a cent.
    pub fn regret_mct(&self, import_mws: i64, export_mws: i64) -> i64 {
        cost_mct(import_mws, export_mws) - cost_mct(self.import_mws, self.export_mws)
    }
}

impl Store {
    /// Most it can give, or take, for a second.
    fn could_mw(&self, gives: bool) -> i64 {
        let could = if gives {
            self.discharge_mw.min((self.energy_mws - self.floor_mws) / 1000 * self.discharge_pm)
        } else {
            self.charge_mw.min((self.capacity_mws - self.energy_mws) / self.charge_pm * 1000)
        };
        could.max(0)
    }

    /// A second with this power, discharge positive.
    fn take(&mut self, power_mw: i64) {
        let stored = if power_mw < 0 { -power_mw * self.charge_pm / 1000 } else { -power_mw * 1000 / self.discharge_pm };
        self.energy_mws = (self.energy_mws + stored - self.standby_mw).max(0);
    }
}

/// What an import and an export cost, in thousandths of a cent.
pub fn cost_mct(import_mws: i64, export_mws: i64) -> i64 {
    // A kWh has 3.6e9 mWs.
    ((i128::from(import_mws) * i128::from(IMPORT_CT) - i128::from(export_mws) * i128::from(EXPORT_CT)) / 3_600_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::battery_params::{BatteryParams, SaxParams};
    use crate::plant::house::House;
    use crate::plant::site::SiteParams;
    use crate::units::Phase;

    fn oracle(params: BatteryParams) -> Oracle {
        let batteries = vec![(params, SaxParams::default())];
        Oracle::of(&Site::new(SiteParams { batteries, ..SiteParams::new(1, House::Fixed([0; 3]), &[]) }))
    }

    #[test]
    fn it_follows_at_once_within_ratings_and_store() {
        let mut oracle = oracle(BatteryParams { capacity_wh: 100, soc_pm: 500, ..BatteryParams::ideal(Phase::L1) });
        oracle.second(3_000_000);
        assert_eq!(oracle.exchanged_mws(), 0);
        oracle.second(5_000_000);
        assert_eq!(oracle.import_mws, 400_000, "4600 W are what it can give");
        oracle.second(-4_000_000);
        assert_eq!(oracle.export_mws, 500_000, "3500 W are what it can take");
        // 50 Wh are 180 kWs; 4.1 kWs of them are gone.
        (0..60).for_each(|_| oracle.second(4_000_000));
        assert_eq!(oracle.import_mws, 400_000 + 60 * 4_000_000 - (180_000_000 - 4_100_000));
    }

    #[test]
    fn regret_is_the_difference_of_two_bills() {
        let oracle = oracle(BatteryParams::ideal(Phase::L1));
        let kwh = 3_600_000_000;
        assert_eq!(oracle.regret_mct(kwh, 0), 30_000);
        assert_eq!(oracle.regret_mct(0, kwh), -8_000);
    }
}
