"""The device API as data: messages, answers, errors and trusted URLs. Pure."""
