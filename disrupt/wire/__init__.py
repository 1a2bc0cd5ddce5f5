"""Convert protobuf messages to core values and back, and validate all messages that come in.

An invalid message raises InvalidRequestError, whose violations name fields as in proto/.
"""
