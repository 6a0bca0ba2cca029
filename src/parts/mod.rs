//! The shared parts of a process, actors and threads, and what becomes of their panics.
//!
//! A panic in a session ends that session only. A shared part runs its steps under a [`Supervisor`]: a panic
//! ends the step, and the part makes anew what the step worked on. A part that panics too often
//! (`--max-restarts`), or outside of its steps, is dead: `/health` names it from then on, and the program's
//! hook is called ([`Parts::when_one_dies`]). The program then exits; a library must not.

use std::{
    any::Any,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use actix::{
    Actor, Addr, Context, Handler,
    dev::channel::{AddressReceiver, channel},
};
use actix_web::rt;
use log::error;

pub use self::mailbox::Mailbox;
use self::{
    guard::Guarded,
    restarts::{PERIOD, Restarts},
    roll::{Roll, ask_actor},
};
pub(crate) use self::{
    mailbox::Waiting,
    roll::{AreYouThere, Presence},
    seconds::Seconds,
    supervisor::{Panicked, Supervisor},
};

#[cfg(feature = "poison")]
mod disturbance;
mod guard;
mod mailbox;
mod restarts;
mod roll;
mod seconds;
mod supervisor;

/// Called with the name of a dead part.
type Hook = Box<dyn Fn(&str) + Send + Sync>;

/// Messages in a mailbox before `try_send` fails, as actix has it. Messages to shared actors are sent by `do_send`.
pub(crate) const MAILBOX: usize = 16;

/// How often a part may begin again in ten seconds, where no setting says so.
const MAX_RESTARTS: usize = 5;

/// The shared parts of one process or of one embedded server.
pub struct Parts {
    max_restarts: usize,
    restarts: Mutex<Restarts>,
    roll: Roll,
    dead: Mutex<Vec<String>>,
    hook: OnceLock<Hook>,
    each_second: OnceLock<fn()>,
    #[cfg(feature = "poison")]
    disturbance: disturbance::Disturbance,
}

impl Default for Parts {
    fn default() -> Self {
        Self::new(MAX_RESTARTS)
    }
}

impl Parts {
    /// No parts yet. Each may begin again `max_restarts` times in ten seconds.
    pub fn new(max_restarts: usize) -> Self {
        Self {
            max_restarts,
            restarts: Mutex::default(),
            roll: Roll::default(),
            dead: Mutex::default(),
            hook: OnceLock::new(),
            each_second: OnceLock::new(),
            #[cfg(feature = "poison")]
            disturbance: disturbance::Disturbance::default(),
        }
    }

    /// Starts a shared actor on this thread. `make` makes it, with the supervisor of its steps.
    pub(crate) fn start<A>(
        self: &Arc<Self>,
        name: impl Into<Arc<str>>,
        make: impl FnOnce(Supervisor) -> A,
    ) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Handler<AreYouThere>,
    {
        let (sender, mailbox) = channel(MAILBOX);
        let address = Addr::new(sender);
        self.start_at(name, &address, mailbox, make);
        address
    }

    /// Starts a shared actor on this thread, whose address was known before and may have mail.
    pub(crate) fn start_at<A>(
        self: &Arc<Self>,
        name: impl Into<Arc<str>>,
        address: &Addr<A>,
        mailbox: AddressReceiver<A>,
        make: impl FnOnce(Supervisor) -> A,
    ) where
        A: Actor<Context = Context<A>> + Handler<AreYouThere>,
    {
        let name = name.into();
        let actor = make(Supervisor::new(self, Arc::clone(&name)));
        let context = Context::with_receiver(mailbox).into_future(actor);
        self.roll.add(&name, ask_actor(address.downgrade()));
        rt::spawn(Guarded::new(Arc::clone(self), name, context));
    }

    /// Starts a shared actor on this thread, whose mailbox is counted. `make` makes it, with the supervisor of
    /// its steps, and with what it has to tell of each message that it takes.
    pub(crate) fn start_counted<A>(
        self: &Arc<Self>,
        name: impl Into<Arc<str>>,
        make: impl FnOnce(Supervisor, Waiting) -> A,
    ) -> Mailbox<A>
    where
        A: Actor<Context = Context<A>> + Handler<AreYouThere>,
    {
        let (name, waiting) = (name.into(), Waiting::default());
        let address = self.start(Arc::clone(&name), |supervisor| make(supervisor, waiting.clone()));
        let (weak, depth) = (address.downgrade(), waiting.clone());
        self.count(&name, move || weak.upgrade().map(|_| depth.count()));
        Mailbox::new(address, waiting)
    }

    /// Starts a shared thread, with the supervisor of its steps.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        run: impl FnOnce(&Supervisor) + Send + 'static,
    ) -> io::Result<()> {
        let (parts, supervisor) = (Arc::clone(self), Supervisor::new(self, name));
        let guarded = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&supervisor))) {
                parts.died(name, &*panic);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(guarded).map(drop)
    }

    /// Has a thread asked by `ask`, through its own queue, whether it is there; `None` if it has ended.
    pub(crate) fn watch(&self, name: &str, ask: impl Fn() -> Option<Presence> + Send + Sync + 'static) {
        self.roll.add(name, Box::new(ask));
    }

    /// Has the messages that wait for a part counted; `None` if it has ended.
    pub(crate) fn count(&self, name: &str, depth: impl Fn() -> Option<usize> + Send + Sync + 'static) {
        self.roll.count(name, Box::new(depth));
    }

    /// The names of the parts that have died, or do not answer within `patience`.
    pub(crate) async fn silent(&self, patience: Duration) -> Vec<String> {
        let mut silent = self.roll.silent(patience).await;
        silent.extend(self.dead());
        silent.sort_unstable();
        silent.dedup();
        silent
    }

    /// The parts that count what waits for them, each with the number of messages.
    pub(crate) fn depths(&self) -> Vec<(String, usize)> {
        self.roll.depths()
    }

    /// Sets the hook for dead parts, and calls it for those already dead. A second call does not replace the
    /// hook.
    pub fn when_one_dies(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        let hook = self.hook.get_or_init(|| Box::new(hook));
        self.dead().iter().for_each(|name| hook(name));
    }

    /// Sets a hook that each worker calls once a second, and each thread of the journal while it works: for an
    /// allocator that keeps what a thread has freed until that thread asks it not to. The hook must not panic. A
    /// second call does not replace it.
    pub fn each_second(&self, hook: fn()) {
        self.each_second.get_or_init(|| hook);
    }

    /// Calls the hook of [`each_second`](Self::each_second), if it is set.
    fn call_second_hook(&self) {
        if let Some(hook) = self.each_second.get() {
            hook();
        }
    }

    /// The names of the dead parts.
    pub fn dead(&self) -> Vec<String> {
        lock(&self.dead).clone()
    }

    /// A step of a part has panicked.
    fn panicked(&self, name: &str, panic: &(dyn Any + Send)) -> Panicked {
        if lock(&self.restarts).may_begin_again(name, self.max_restarts, Instant::now()) {
            error!("{name} has panicked and begins again: {}", message_of(panic));
            return Panicked::BeginAgain;
        }
        error!(
            "{name} has panicked: {}; it has begun again {} times in {} seconds, as often as it may (--max-restarts)",
            message_of(panic),
            self.max_restarts,
            PERIOD.as_secs()
        );
        self.note_dead(name);
        Panicked::TooOften
    }

    /// How often each part has begun again, which it does once for each message or job that panics.
    pub(crate) fn restarts(&self) -> Vec<(String, u64)> {
        let mut totals = lock(&self.restarts).totals();
        for name in self.roll.names() {
            totals.entry(name).or_default();
        }
        totals.into_iter().collect()
    }

    fn died(&self, name: &str, panic: &(dyn Any + Send)) {
        error!("{name} has panicked: {}", message_of(panic));
        self.note_dead(name);
    }

    fn note_dead(&self, name: &str) {
        lock(&self.dead).push(name.to_owned());
        if let Some(hook) = self.hook.get() {
            hook(name);
        }
    }

    /// Makes a part panic at its next step, for tests.
    #[cfg(feature = "poison")]
    pub fn poison(&self, name: &str) {
        self.disturbance.poison(name);
    }

    /// Keeps a part from taking steps for a while, for tests.
    #[cfg(feature = "poison")]
    pub fn stall(&self, name: &str, pause: Duration) {
        self.disturbance.stall(name, Instant::now() + pause);
    }

    /// Until when a part must take no step; `None` if it may take one.
    #[cfg(feature = "poison")]
    fn stalled_until(&self, name: &str) -> Option<Instant> {
        self.disturbance.stalled_until(name)
    }

    /// Panics if the part of this name was poisoned. Without the feature `poison` this does nothing.
    fn panic_if_poisoned(&self, name: &str) {
        #[cfg(feature = "poison")]
        assert!(!self.disturbance.take_poison(name), "{name} was poisoned");
        #[cfg(not(feature = "poison"))]
        let _ = (self, name);
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("dead", &self.dead()).finish_non_exhaustive()
    }
}

/// The message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix::Message;

    use super::*;

    struct Fragile;

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Break;

    impl Handler<AreYouThere> for Fragile {
        type Result = ();

        fn handle(&mut self, _: AreYouThere, _: &mut Context<Self>) {}
    }

    impl Handler<Break> for Fragile {
        type Result = ();

        fn handle(&mut self, _: Break, _: &mut Context<Self>) {
            panic!("as it was told");
        }
    }

    #[actix_web::test]
    async fn the_panic_of_a_shared_actor_is_told_once_and_its_mailbox_is_closed() {
        let parts = Arc::<Parts>::default();
        let (told, heard) = mpsc::channel();
        parts.when_one_dies(move |name| told.send(name.to_owned()).expect("the test listens"));
        let actor = parts.start("the fragile actor", |_| Fragile);
        assert!(actor.send(Break).await.is_err());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["the fragile actor"]);
        assert_eq!(parts.dead(), ["the fragile actor"]);
        assert!(!actor.connected());
    }

    #[test]
    fn a_panic_ends_a_step_and_too_many_end_the_part() {
        let parts = Arc::new(Parts::new(2));
        let (told, heard) = mpsc::channel();
        parts.when_one_dies(move |name| told.send(name.to_owned()).expect("the test listens"));
        let supervisor = Supervisor::new(&parts, "a part");
        let fail = || supervisor.attempt(|| panic!("as it was told"));
        assert_eq!(supervisor.attempt(|| 7), Ok(7));
        assert_eq!([fail(), fail()], [Err::<(), _>(Panicked::BeginAgain); 2]);
        assert_eq!(supervisor.attempt(|| 8), Ok(8));
        assert!(parts.dead().is_empty());
        assert_eq!(fail(), Err(Panicked::TooOften));
        assert_eq!((heard.try_iter().count(), parts.dead()), (1, vec!["a part".to_owned()]));
        assert_eq!(parts.restarts(), [("a part".to_owned(), 2)]);
    }

    #[test]
    fn the_panic_of_a_shared_thread_is_told_also_to_a_hook_that_comes_later() {
        let parts = Arc::<Parts>::default();
        let (ended, end) = mpsc::channel::<()>();
        parts
            .spawn("the fragile thread", move |_| {
                let _ended = ended;
                panic!("as it was told");
            })
            .expect("a thread");
        end.recv().expect_err("it panics");
        while parts.dead().is_empty() {
            thread::yield_now();
        }
        let (told, heard) = mpsc::channel();
        parts.when_one_dies(move |name| told.send(name.to_owned()).expect("the test listens"));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["the fragile thread"]);
    }
}
