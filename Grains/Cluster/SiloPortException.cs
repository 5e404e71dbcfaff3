namespace Actors;

/// <summary>A silo cannot listen where its options say. The message names address, port and option.</summary>
public sealed class SiloPortException : ActorsException
{
    internal SiloPortException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
