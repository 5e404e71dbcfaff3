namespace Actors;

/// <summary>The try of a body that its context stands for.</summary>
internal interface IAttempt
{
    /// <summary>1 for the first.</summary>
    int Number { get; }

    CancellationToken Token { get; }

    /// <summary>Of the run, the command's number and its name.</summary>
    string IdempotencyKey { get; }

    /// <summary>Of a scope of its own, made when it is first asked for.</summary>
    /// <exception cref="ObjectDisposedException">The body has ended.</exception>
    IServiceProvider Services { get; }
}
