//! ipc-channel: bytes through a socket, or memory that is created for each block and freed with it.

use crate::util::{Link, Outcome, Peer};
use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory,
    bytes_channel, channel,
};
use std::process::Command;

pub struct Bytes {
    output: IpcBytesSender,
    input: IpcBytesReceiver,
    buffer: Vec<u8>,
}

impl Bytes {
    pub fn near(mut command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        let (server, name) = IpcOneShotServer::new()?;
        command.arg(name);
        let peer = Peer::start(command)?;
        let (_, (output, input)) = server.accept()?;
        Ok((Self { output, input, buffer: vec![0; block_size] }, peer))
    }

    pub fn far(arguments: &[String], block_size: usize) -> Outcome<Self> {
        let (there, back) = (bytes_channel()?, bytes_channel()?);
        IpcSender::connect(arguments[0].clone())?.send((there.0, back.1))?;
        Ok(Self { output: back.0, input: there.1, buffer: vec![0; block_size] })
    }
}

impl Link for Bytes {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let bytes = &mut self.buffer[..length];
        fill(bytes);
        Ok(self.output.send(bytes)?)
    }

    fn receive(&mut self, _length: usize, mut take: impl FnMut(&[u8])) -> Outcome<()> {
        take(&self.input.recv()?);
        Ok(())
    }
}

pub struct Memory {
    output: IpcSender<IpcSharedMemory>,
    input: IpcReceiver<IpcSharedMemory>,
    buffer: Vec<u8>,
}

impl Memory {
    pub fn near(mut command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        let (server, name) = IpcOneShotServer::new()?;
        command.arg(name);
        let peer = Peer::start(command)?;
        let (_, (output, input)) = server.accept()?;
        Ok((Self { output, input, buffer: vec![0; block_size] }, peer))
    }

    pub fn far(arguments: &[String], block_size: usize) -> Outcome<Self> {
        let (there, back) = (channel()?, channel()?);
        IpcSender::connect(arguments[0].clone())?.send((there.0, back.1))?;
        Ok(Self { output: back.0, input: there.1, buffer: vec![0; block_size] })
    }
}

impl Link for Memory {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let bytes = &mut self.buffer[..length];
        fill(bytes);
        Ok(self.output.send(IpcSharedMemory::from_bytes(bytes))?)
    }

    fn receive(&mut self, _length: usize, mut take: impl FnMut(&[u8])) -> Outcome<()> {
        take(&self.input.recv()?);
        Ok(())
    }
}
