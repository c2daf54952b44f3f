//! Which batteries can be counted on: do they follow, and do sign and phase of what they do agree with the meter?

use super::{Battery, Core};
use crate::control::alarm::Alarm;
use crate::control::capability::Trust;
use crate::control::site::BatterySite;
use crate::units::{Span, Time};

/// A wrong sign is believed for this long, then the battery is tried again.
const DISTRUST: Span = Span::from_s(3600);
/// This close to full or empty a battery may well do less than it is told, 0.1 %.
const TAPER_PM: i64 = 100;

impl Core {
    /// How far each battery is counted on.
    pub fn trust(&self) -> &[Trust] {
        &self.trust
    }

    /// Looks at every battery at the beginning of a step.
    pub(super) fn watch_trust(&mut self, now: Time) {
        for (k, b) in self.batteries.iter_mut().enumerate() {
            self.trust[k] =
                if b.follow.mirrors().is_some_and(|found| now.since(found) < DISTRUST) { Trust::Distrusted } else { b.follow.trust() };
            b.distrusted = self.trust[k] == Trust::Distrusted;
            if let Some(response) = b.follow.response() {
                self.learned.batteries[k].response = Some(response);
            }
            self.alarms.set(Alarm::NotFollowed(k), refuses(b, &self.site.batteries[k]), now);
            self.alarms.set(Alarm::SignWrong(k), b.follow.mirrors().is_some(), now);
        }
    }
}

/// It does less than it is told, and not because it is almost full or empty.
fn refuses(b: &Battery, site: &BatterySite) -> bool {
    let (charge, discharge) = b.follow.falls_short();
    let soc_pm = b.sample.map_or(500, |s| s.soc_pm);
    let (almost_full, almost_empty) = (soc_pm >= site.max_soc_pm - TAPER_PM, soc_pm <= site.min_soc_pm + TAPER_PM);
    b.follow.mirrors().is_none() && (charge && !almost_full || discharge && !almost_empty)
}
