//! The fan-outs that a server of rooms sends to, and the mail that waits for them.

use std::sync::Arc;

use super::messages::{Dismiss, DismissAll, ForFanOut, Mail, ToFanOut};
use crate::{
    connection::Ending,
    domain::{Map, MemberId, WorkerId},
};

/// The fan-outs of all workers. What a server of rooms has for a fan-out is collected and sent at the end of
/// the server's turn: one message for each worker, however many rooms had lines.
#[derive(Debug, Default)]
pub(crate) struct FanOuts(Map<WorkerId, OneFanOut>);

#[derive(Debug)]
struct OneFanOut {
    fanout: Arc<dyn ToFanOut>,
    mail: Vec<ForFanOut>,
}

impl FanOuts {
    /// Adds the fan-out of a worker, before any session of that worker registers.
    pub(crate) fn add(&mut self, worker: WorkerId, fanout: Arc<dyn ToFanOut>) {
        self.0.insert(worker, OneFanOut { fanout, mail: Vec::new() });
    }

    /// Collects a message, behind those that were collected before.
    pub(crate) fn collect(&mut self, worker: WorkerId, message: ForFanOut) {
        if let Some(OneFanOut { mail, .. }) = self.0.get_mut(&worker) {
            mail.push(message);
        }
    }

    /// Sends what was collected.
    pub(crate) fn send_all(&mut self) {
        for OneFanOut { fanout, mail } in self.0.values_mut().filter(|one| !one.mail.is_empty()) {
            fanout.send(Mail(std::mem::take(mail)));
        }
    }

    /// Sends a session away that lives on any worker, behind what was collected.
    pub(crate) fn dismiss(&mut self, member: MemberId, ending: &Ending) {
        for one in self.0.values_mut() {
            one.mail.push(ForFanOut::Dismiss(Dismiss { member, ending: ending.clone() }));
        }
    }

    /// Dismisses the sessions of all workers, behind what was collected.
    pub(crate) fn dismiss_all(&mut self, message: &DismissAll) {
        for one in self.0.values_mut() {
            one.mail.push(ForFanOut::DismissAll(message.clone()));
        }
        self.send_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    use super::*;
    use crate::broadcast::messages::Detach;

    #[derive(Debug, Default)]
    struct Post(Mutex<Vec<Vec<String>>>);

    impl Post {
        fn taken(&self) -> Vec<Vec<String>> {
            std::mem::take(&mut self.0.lock().expect("not poisoned"))
        }
    }

    impl ToFanOut for Post {
        fn send(&self, Mail(messages): Mail) {
            let messages = messages.iter().map(|message| match message {
                ForFanOut::Detach(Detach { member }) => member.to_string(),
                ForFanOut::DismissAll(_) => "dismissed".to_owned(),
                other => format!("{other:?}"),
            });
            self.0.lock().expect("not poisoned").push(messages.collect());
        }
    }

    fn detach(number: u64) -> ForFanOut {
        ForFanOut::Detach(Detach { member: MemberId::of(number) })
    }

    #[test]
    fn a_worker_gets_one_mail_a_turn_in_the_order_in_which_it_was_collected() {
        let (first, second) = (Arc::<Post>::default(), Arc::<Post>::default());
        let mut fanouts = FanOuts::default();
        fanouts.add(WorkerId(0), Arc::clone(&first) as Arc<dyn ToFanOut>);
        fanouts.add(WorkerId(1), Arc::clone(&second) as Arc<dyn ToFanOut>);
        for number in [1, 2, 3] {
            fanouts.collect(WorkerId(0), detach(number));
        }
        fanouts.collect(WorkerId(9), detach(4));
        assert!(first.taken().is_empty(), "the turn has not ended");
        fanouts.send_all();
        fanouts.send_all();
        let names = [1, 2, 3].map(|number| MemberId::of(number).to_string());
        assert_eq!((first.taken(), second.taken()), (vec![names.to_vec()], vec![]));
        fanouts.collect(WorkerId(1), detach(5));
        fanouts.dismiss_all(&DismissAll { all_told: mpsc::channel(1).0 });
        let told = vec![MemberId::of(5).to_string(), "dismissed".to_owned()];
        assert_eq!((first.taken(), second.taken()), (vec![vec!["dismissed".to_owned()]], vec![told]));
    }
}
