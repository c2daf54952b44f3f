//! What is asked of the site for now, beside its configuration: by a schedule, or from outside. The newest demand holds.

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demand {
    /// What a schedule asks for.
    pub action: Option<Action>,
    /// Dimmed by the grid operator (§14a EnWG): the batteries may take this much from the grid at most, W.
    pub dimmed_w: Option<i64>,
    /// What another controller asks of the batteries.
    pub remote: Remote,
}

/// What another controller asks of the batteries, all of them together; it comes with a heartbeat, and without one there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Remote {
    /// Their power, W, discharge positive; `None`: the site's own strategy decides.
    pub setpoint_w: Option<i64>,
    /// Most they may be charged with, W, ≥ 0.
    pub charge_limit_w: Option<i64>,
    /// Most they may be discharged with, W, ≥ 0.
    pub discharge_limit_w: Option<i64>,
}

impl Demand {
    /// Whether a battery at this SoC is to be kept in reserve, given whether it was: a block ends only when the SoC has come back by
    /// `hysteresis_pm`.
    pub fn reserves(&self, soc_pm: i64, before: bool, hysteresis_pm: i64) -> bool {
        match self.action {
            Some(Action::ReserveSoc(reserve_pm)) => soc_pm <= reserve_pm || (before && soc_pm < reserve_pm + hysteresis_pm),
            _ => false,
        }
    }
}

/// What a schedule can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Another aim at the grid connection, all phases together, W, import positive.
    GridTarget(i64),
    /// Energy below this SoC is kept, 0.1 %.
    ReserveSoc(i64),
    /// Charge with this power in sum, W > 0, from the grid where the sun does not give it.
    Charge(i64),
    /// Neither charge nor discharge.
    Hold,
}
