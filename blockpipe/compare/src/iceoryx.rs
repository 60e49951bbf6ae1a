//! iceoryx2: loans without a copy, by publish and subscribe. A waiting process polls, or sleeps until an event.

use crate::util::{BLOCKS, Link, Outcome, Peer, SPINS};
use iceoryx2::port::{listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use std::hint::spin_loop;
use std::process::{self, Command};
use std::thread;

type Service = ipc::Service;

struct Events {
    notifier: Notifier<Service>,
    listener: Listener<Service>,
}

pub struct Iceoryx {
    publisher: Publisher<Service, [u8], ()>,
    subscriber: Subscriber<Service, [u8], ()>,
    events: Option<Events>,
    node: Node<Service>,
}

impl Iceoryx {
    pub fn near(command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        Self::start(command, block_size, Self::without_events)
    }

    pub fn far(arguments: &[String], block_size: usize) -> Outcome<Self> {
        Self::without_events(
            &format!("{}/back", arguments[0]),
            &format!("{}/there", arguments[0]),
            block_size,
        )
    }

    pub fn near_with_events(command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        Self::start(command, block_size, Self::with_events)
    }

    pub fn far_with_events(arguments: &[String], block_size: usize) -> Outcome<Self> {
        Self::with_events(&format!("{}/back", arguments[0]), &format!("{}/there", arguments[0]), block_size)
    }

    fn start(
        mut command: Command,
        block_size: usize,
        meet: fn(&str, &str, usize) -> Outcome<Self>,
    ) -> Outcome<(Self, Peer)> {
        let name = format!("compare/{}", process::id());
        command.arg(&name);
        let peer = Peer::start(command)?;
        Ok((meet(&format!("{name}/there"), &format!("{name}/back"), block_size)?, peer))
    }

    fn without_events(output: &str, input: &str, block_size: usize) -> Outcome<Self> {
        // It installs signal handlers unless configured otherwise, and Ctrl-C must end this program.
        let node =
            NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled).create::<Service>()?;
        // One of the blocks is being written, one is being read, and the others wait.
        let open = |name: &str| -> Outcome<_> {
            Ok(node
                .service_builder(&name.try_into()?)
                .publish_subscribe::<[u8]>()
                .payload_alignment(Alignment::new(4096).ok_or("a power of two")?)
                .enable_safe_overflow(false)
                .history_size(0)
                .subscriber_max_buffer_size(BLOCKS - 2)
                .subscriber_max_borrowed_samples(1)
                .max_publishers(1)
                .max_subscribers(1)
                .open_or_create()?)
        };
        let (output, input) = (open(output)?, open(input)?);
        let subscriber = input.subscriber_builder().create()?;
        let publisher = output
            .publisher_builder()
            .initial_max_slice_len(block_size)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        // Samples that are sent before somebody subscribes are lost.
        while output.dynamic_config().number_of_subscribers() == 0 {
            thread::yield_now();
        }
        Ok(Self { publisher, subscriber, events: None, node })
    }

    fn with_events(output: &str, input: &str, block_size: usize) -> Outcome<Self> {
        let mut link = Self::without_events(output, input, block_size)?;
        let open = |name: &str| -> Outcome<_> {
            Ok(link.node.service_builder(&name.try_into()?).event().open_or_create()?)
        };
        let (output, input) = (open(output)?, open(input)?);
        let listener = input.listener_builder().create()?;
        let notifier = output.notifier_builder().create()?;
        while output.dynamic_config().number_of_listeners() == 0 {
            thread::yield_now();
        }
        link.events = Some(Events { notifier, listener });
        Ok(link)
    }
}

impl Link for Iceoryx {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let sample = self.publisher.loan_slice_uninit(length)?;
        // SAFETY: any byte is a valid `u8`, and these are mapped: zeros, or what an earlier sample left.
        let mut sample = unsafe { sample.assume_init() };
        fill(sample.payload_mut());
        sample.send()?;
        if let Some(events) = &self.events {
            events.notifier.notify()?;
        }
        Ok(())
    }

    fn receive(&mut self, length: usize, mut take: impl FnMut(&[u8])) -> Outcome<()> {
        let mut spins = 0;
        let sample = loop {
            if let Some(sample) = self.subscriber.receive()? {
                break sample;
            }
            spins += 1;
            match &self.events {
                Some(events) => {
                    events.listener.blocking_wait(|_| ())?;
                }
                None if spins % SPINS == 0 => thread::yield_now(),
                None => spin_loop(),
            }
        };
        if sample.payload().len() != length {
            return Err(format!("{} bytes, not {length}", sample.payload().len()).into());
        }
        take(sample.payload());
        Ok(())
    }
}
