//! Chargers and our own Modbus server, out of the configuration.

use std::sync::Arc;

use super::{AFTER_METER, EndpointPlan, Placed, ServerPlan, endpoint};
use crate::config::{self, Config};
use crate::daemon::charger::ChargerSpec;
use crate::device::library::Library;
use crate::units::{Span, Time};

/// A charger whose device is known.
pub(super) fn charger(
    index: usize,
    c: &config::Charger,
    config: &Config,
    library: &Library,
    endpoints: &mut Vec<EndpointPlan>,
) -> Option<Placed<ChargerSpec>> {
    let profile = Arc::new(library.profile(&c.device)?.with_settings(&c.settings));
    // Without being asked often enough it would fall to its fallback limit by itself.
    let longest = profile.charger.as_ref()?.longest_poll();
    let poll = Span::from_ms(c.poll_ms.into());
    // The load balancer's fallback is one limit for all of them, and then nobody is there to share it out.
    let chargers = u32::try_from(config.chargers.len()).unwrap_or(u32::MAX).max(1);
    let balanced_ma = config.load_balancer.as_ref().map_or(0, |balancer| balancer.settings.fallback_limit_ma / chargers);
    let spec = ChargerSpec {
        index,
        name: c.name.clone(),
        unit: c.unit.unwrap_or(profile.unit),
        profile,
        poll: longest.map_or(poll, |longest| poll.min(longest)),
        first_poll: Time::ZERO + AFTER_METER,
        retries: c.link.retry_count().into(),
        fallback_ma: c.fallback_limit_ma,
        without_instruction_ma: c.fallback_limit_ma.min(balanced_ma),
    };
    Some(Placed { endpoint: endpoint(&c.link, endpoints), spec })
}

/// Our own server, and the link of its gateway.
pub(super) fn server(server: &config::Server, endpoints: &mut Vec<EndpointPlan>) -> ServerPlan {
    let gateway = server.gateway.as_ref().map(|gateway| endpoint(&gateway.link, endpoints));
    ServerPlan { server: server.clone(), gateway, state: None }
}
