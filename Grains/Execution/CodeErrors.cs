namespace Actors;

/// <summary>A message was published to a topic that has no destination. Nothing was written.</summary>
public sealed class UnknownTopicException(string message) : ActorsException(message);
