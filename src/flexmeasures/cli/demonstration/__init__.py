"""The story that `flexmeasures demo` tells: a small site, real data, and the API as any client uses it."""
