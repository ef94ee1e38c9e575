"""Language models behind an address: what they are called and cost, how they are asked, what was said is recorded."""
