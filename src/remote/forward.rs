//! Asks a proxy for a whole address: `GET http://server/path` in place of `GET /path`, which is all that ureq can say.

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Puts the server in front of the path of the first request of a connection; nothing without one.
#[derive(Debug)]
pub(super) struct Forward(pub(super) Option<String>);

#[derive(Debug)]
pub(super) struct Forwarding<T> {
    inner: T,
    server: Option<String>,
}

impl<T: Transport> Connector<T> for Forward {
    type Out = Forwarding<T>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<T>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Forwarding { inner, server: self.0.clone() }))
    }
}

impl<T: Transport> Transport for Forwarding<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(server) = self.server.take() else { return self.inner.transmit_output(amount, timeout) };
        let output = self.inner.buffers().output();
        let longer = amount + server.len();
        let path = output[..amount].iter().position(|byte| *byte == b' ').map(|blank| blank + 1);
        let Some(path) = path.filter(|_| longer <= output.len()) else {
            return Err(Error::Io(std::io::Error::other("the address is too long for a proxy")));
        };
        output.copy_within(path..amount, path + server.len());
        output[path..path + server.len()].copy_from_slice(server.as_bytes());
        self.inner.transmit_output(longer, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
