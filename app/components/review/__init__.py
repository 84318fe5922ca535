"""Review by keyboard: `review_queue` shows one sample after another and loses no key."""
