//! When things happened in a stream. Whose clock that is, and what it reads, is the caller's business.

/// When things happened, in seconds since the stream was made; None for what has not happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timings {
    /// The first bytes came.
    pub first_byte: Option<f64>,
    /// The first chunk was complete.
    pub first_event: Option<f64>,
    /// The first chunk with text for the message was complete.
    pub first_content: Option<f64>,
    /// The first chunk with a fragment of a tool call was complete.
    pub first_tool_call: Option<f64>,
    /// The last chunk so far was complete.
    pub last_event: Option<f64>,
    /// The longest time between two moments at which chunks were complete.
    pub longest_gap: Option<f64>,
}

impl Timings {
    /// Notes that chunks were complete, and what the message has by now. Gives the time since those before.
    pub fn note(&mut self, now: f64, has_content: bool, has_tool_calls: bool) -> Option<f64> {
        self.first_event.get_or_insert(now);
        let gap = self.last_event.map(|last| now - last);
        if gap > self.longest_gap {
            self.longest_gap = gap;
        }
        self.last_event = Some(now);
        if has_content {
            self.first_content.get_or_insert(now);
        }
        if has_tool_calls {
            self.first_tool_call.get_or_insert(now);
        }
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::Timings;

    #[test]
    fn gaps_are_those_between_chunks_and_not_the_time_before_the_first() {
        let mut timings = Timings::default();
        let gaps = [7.0, 9.0, 10.0].map(|now| timings.note(now, false, false));
        assert_eq!(gaps, [None, Some(2.0), Some(1.0)]);
        assert_eq!((timings.first_event, timings.last_event), (Some(7.0), Some(10.0)));
        assert_eq!(timings.longest_gap, Some(2.0));
        assert_eq!((timings.first_content, timings.first_tool_call), (None, None));
    }

    #[test]
    fn what_the_message_has_is_timed_once() {
        let mut timings = Timings::default();
        for (now, has_content, has_tool_calls) in
            [(1.0, false, false), (2.0, true, false), (3.0, true, true), (4.0, true, true)]
        {
            timings.note(now, has_content, has_tool_calls);
        }
        assert_eq!((timings.first_content, timings.first_tool_call), (Some(2.0), Some(3.0)));
    }
}
