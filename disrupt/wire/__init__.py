"""From protobuf messages to core values and back: all validation of what comes in is here.

What a message says wrongly is an InvalidRequestError; its violations name fields as in proto/.
"""
