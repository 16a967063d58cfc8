"""The OpenAPI 3.1 document of the API, made from the schemas that check the requests.

Endpoints say what they take and answer where they are routed to; nothing here knows them one by one.
"""
