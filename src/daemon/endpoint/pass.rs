//! Requests of others that are passed on as they are: those of the gateway.

use ::modbus::Result;

use super::Endpoint;
use crate::daemon::clock::Clock;
use crate::device::profile::Block;
use crate::modbus::pdu::{Reply, Request};
use crate::units::{Span, Time};

impl Endpoint {
    /// When a request can be passed on to `unit`: those who ask it have said what gap it needs, and what they have reserved goes first.
    pub fn ready_to_pass_at(&self, unit: u8, now: Time) -> Time {
        let gap = self.last(unit).map_or(Span::ZERO, |last| last.gap);
        self.ready_to_read_at(unit, gap, now)
    }

    /// Passes a request on to `unit`, which is ready for it.
    pub fn pass(&mut self, unit: u8, request: &Request, clock: &dyn Clock) -> Result<Reply> {
        self.link.set_uid(unit);
        let answer = self.link.exchange(request);
        self.note(unit, Span::ZERO, clock.now());
        self.write_down(unit, &block(request), &answer);
        answer
    }
}

/// Where a request looks, for the communication log.
fn block(request: &Request) -> Block {
    let (address, count) = match request {
        Request::ReadCoils { address, count }
        | Request::ReadDiscreteInputs { address, count }
        | Request::ReadHoldingRegisters { address, count }
        | Request::ReadInputRegisters { address, count }
        | Request::ReadWriteMultipleRegisters { read_address: address, read_count: count, .. }
        | Request::WriteMultipleCoils { address, count, .. } => (*address, *count),
        Request::WriteMultipleRegisters { address, values } => (*address, u16::try_from(values.len()).unwrap_or(u16::MAX)),
        Request::WriteSingleCoil { address, .. } | Request::WriteSingleRegister { address, .. } => (*address, 1),
        Request::ReportServerId | Request::ReadDeviceIdentification { .. } => (0, 1),
    };
    Block { function: request.function(), address, count }
}
