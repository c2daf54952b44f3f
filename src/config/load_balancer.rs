//! `[load_balancer]`: what a charger may draw.

use super::later;
use super::reader::Section;
use crate::balancer::Settings;

/// `[load_balancer]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadBalancer {
    /// Its limits, waits and changes; defaults of reference 2.
    pub settings: Settings,
    /// Name of a LED under `/sys/class/leds` that shows the state.
    pub led: Option<String>,
}

pub(super) fn read(root: &mut Section<'_>) -> Option<LoadBalancer> {
    let section = root.section("load_balancer")?;
    later::refuse(&section);
    later::read_load_balancer(section);
    None
}
