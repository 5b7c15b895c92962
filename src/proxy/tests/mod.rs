//! The proxy between real sockets: instances that count what they received, and clients.

mod health;
mod http;
mod load;
mod pages;
mod retry;
mod support;
mod tcp;
mod websocket;
