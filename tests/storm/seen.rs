//! 6: every fault is in the status and in the journal, and neither grows.

use super::*;

impl Watch {
    /// All errors that the status counts at this host.
    pub(super) fn errors(&self, host: usize) -> u64 {
        let end = format!(":{host}");
        let document = self.document();
        let of_host = document.errors.iter().filter(|(name, _)| name.ends_with(&end));
        of_host.map(|(_, e)| e.timeout + e.crc + e.short + e.wrong_unit + e.exception + e.invalid + e.io).sum()
    }

    /// 5: what is reported, and thereby what is kept for it, does not grow.
    pub(super) fn size(&mut self) {
        let document = self.document();
        let (alarms, links) = (document.alarms.len(), document.errors.len());
        if alarms > 200 || links > 12 {
            self.find("5 size", format!("{alarms} alarms, {links} links"));
        }
    }

    /// 6: while it lasted long enough to be noticed, the status showed it.
    pub(super) fn visible(&mut self, t: &Trouble, errors_before: u64) {
        let notice_ms = 12_000 + 4 * self.poll_ms();
        // A controller that was away, or is a new one, has seen only what came later.
        let away = |o: &&Trouble| matches!(o.kind, Kind::Restart { .. } | Kind::Pause) && o.from_ms < t.until_ms && o.until_ms > t.from_ms;
        let back_ms = |o: &Trouble| AGAIN_MS + if o.kind == Kind::Pause { o.until_ms } else { o.from_ms };
        let anew = self.troubles.iter().filter(away).any(|o| matches!(o.kind, Kind::Restart { .. }));
        let since_ms = self.troubles.iter().filter(away).map(back_ms).max().unwrap_or(0).max(t.from_ms);
        let lasted_ms = t.until_ms.saturating_sub(since_ms);
        let errors_before = if anew { 0 } else { errors_before };
        if lasted_ms < notice_ms || t.kind == Kind::Reboot {
            return;
        }
        let document = self.document();
        let alarms: Vec<&str> = document.alarms.iter().map(|a| a.name.as_str()).collect();
        let named = |word: &str| alarms.iter().any(|a| a.contains(word));
        let (cuts, absurd) = (t.cuts_off(&self.roles), t.is_absurd(&self.roles));
        let (meter, poll_ms) = (t.host == self.roles.meter && matches!(t.kind, Kind::Wire(_)), self.poll_ms());
        let mut missing = Vec::new();
        if cuts && !(self.roles.is_p1 && meter) && self.errors(t.host) <= errors_before {
            missing.push("no error was counted");
        }
        let age_ms = document.meter.age_ms.unwrap_or(u64::MAX / 2);
        if meter && (cuts || absurd) && age_ms + 3000 + 3 * poll_ms < lasted_ms {
            missing.push("the meter looks younger than it is");
        }
        // The ladder falls at 1.5 times its hold age, which is three polls.
        if meter && (cuts || absurd) && lasted_ms > 15_000 + 6 * poll_ms && !named("meter") {
            missing.push("no alarm names the meter");
        }
        for (k, host) in self.roles.batteries.iter().enumerate() {
            let name = format!("battery {}", self.built.config.batteries[k].name);
            let own = matches!(t.kind, Kind::Wire(_)) && t.host == *host && (cuts || absurd);
            if own && lasted_ms > 30_000 + 6 * poll_ms && !named(&name) {
                missing.push("no alarm names the battery");
            }
        }
        for (k, host) in &self.roles.bmses {
            let name = format!("battery {}", self.built.config.batteries[*k].name);
            if t.host == *host && cuts && lasted_ms > 66_000 && !named(&name) {
                missing.push("no alarm names the BMS");
            }
        }
        if self.roles.chargers.contains(&t.host) && cuts && lasted_ms > 90_000 && !named("charger") {
            missing.push("no alarm names the charger");
        }
        if t.kind == Kind::FreezeMeter && self.outcome.alone && lasted_ms > 66_000 && !named("frozen") {
            missing.push("no alarm says that the meter is frozen");
        }
        if !missing.is_empty() {
            let said = format!("{:?} of {} ms: {}; alarms {alarms:?}", t.kind, t.lasts_ms(), missing.join(", "));
            self.find("6 visible", said);
        }
    }

    /// 6: what a fault says, it says once; and what lasts is said.
    pub(super) fn lines(&mut self) {
        if !self.outcome.alone {
            return;
        }
        let Some(t) = self.troubles.first().copied() else { return };
        let bad = |line: &str| line.starts_with("WARN") || line.starts_with("ERROR");
        let since: Vec<&String> = self.lines.iter().filter(|(at, line)| *at >= t.from_ms && bad(line)).map(|(_, line)| line).collect();
        let most = 12 + 3 * self.batteries.len();
        let twice = since.iter().find(|line| since.iter().filter(|other| other == line).count() > 3);
        let noticed = t.lasts_ms() > 12_000 + 4 * self.poll_ms() && t.cuts_off(&self.roles) && t.from_ms > 0;
        let said = match twice {
            Some(line) => Some(format!("said more than three times: {line}")),
            None if since.len() > most => Some(format!("{} lines: {since:?}", since.len())),
            None if noticed && since.is_empty() && t.kind != Kind::Reboot => Some("nothing was said".into()),
            None => None,
        };
        if let Some(said) = said {
            self.find("6 journal", said);
        }
    }
}
