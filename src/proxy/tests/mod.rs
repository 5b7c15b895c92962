//! The proxy between real sockets: instances that count what they received, and clients.

mod health;
mod http;
mod idle;
mod load;
mod pages;
mod ports;
mod retry;
mod support;
mod tcp;
mod websocket;

/// The daemon calls the proxy from a multi-threaded runtime.
#[tokio::test]
async fn the_handle_and_its_futures_may_move_between_threads() {
    fn moves<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync>(_: &T) {}
    let proxy = crate::proxy::Proxy::start(support::quick()).unwrap();
    let addr = "127.0.0.1:0".parse().unwrap();
    is_shared(&proxy);
    moves(&proxy.applied(0));
    moves(&proxy.drained("", std::time::Duration::ZERO));
    moves(&proxy.listen_http(addr, None, None));
    moves(&proxy.listen_tcp(addr, 20_001, None));
    moves(&proxy.listen_udp(addr, 20_001, None));
    moves(&proxy.unlisten(crate::proxy::ListenerId(0)));
    moves(&proxy.shutdown());
}
